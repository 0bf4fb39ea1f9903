# SPDX-License-Identifier: Apache-2.0
"""`--out`: files that the guest sends back when its program has ended. The format is that of
posix/file/hand_out.c. The guest may be hostile: nothing is written but below the paths that the user
gave, and never through a symbolic link there. A file comes whole, its checksum seen, or not at all."""
import errno
import os
import pathlib
import stat
import struct
import sys
import time

from atoll.errors import ToolError
from atoll.native_code import crc32c
from atoll.pack import write_file

RECORD = struct.Struct("<BBHIQqI")
CRC_BYTES = 4
PATH_BYTES_MAX = 4096
FILE, DIRECTORY, LINK, ERROR, END = (ord(c) for c in "FDLEZ")
PROGRESS_BYTES_MIN = 1 << 20


class _Malformed(Exception):
    """What came is no record: the rest cannot be read."""


# @impl ATL-LLR-TOOL-0046~1
class Receiver:
    """Takes the bytes of the stream as they come. outputs: [(guest path, host path)]."""

    def __init__(self, outputs):
        self._outputs = outputs
        self._pending = bytearray()
        self._problems = []
        self._is_ended = self._is_broken = False
        self._shown = 0.0

    def feed(self, data):
        if self._is_broken or self._is_ended:
            return
        self._pending += data
        try:
            while self._take_record():
                pass
        except _Malformed as error:
            self._is_broken = True
            self._problems.append(str(error))

    def finish(self):
        """The problems of all outputs, as text; empty: everything is there."""
        if not self._is_ended and not self._is_broken:
            guests = ", ".join(guest for guest, _ in self._outputs)
            self._problems.append(f"{guests}: the machine ended before everything was handed back; "
                                  "what is here was written before")
        return self._problems

    def _take_record(self):
        """Handles the record at the front; False: it is not complete yet."""
        if self._is_ended or len(self._pending) < RECORD.size:
            return False
        kind, _, request, mode, count, modified_s, path_bytes = RECORD.unpack_from(self._pending)
        if kind not in (FILE, DIRECTORY, LINK, ERROR, END) or path_bytes > PATH_BYTES_MAX:
            raise _Malformed("the guest sent something that is not a file")
        has_content = kind in (FILE, LINK)
        start = RECORD.size + path_bytes
        end = start + (count + CRC_BYTES if has_content else 0)
        if len(self._pending) < end:
            self._show_progress(start, count)
            return False
        path = bytes(self._pending[RECORD.size:start])
        content = bytes(self._pending[start:start + count]) if has_content else b""
        if has_content and struct.unpack_from("<I", self._pending, end - CRC_BYTES)[0] != crc32c(content):
            raise _Malformed("a file's checksum is wrong")
        del self._pending[:end]
        if kind == END:
            self._is_ended = True
        elif request >= len(self._outputs):
            raise _Malformed("the guest sent a file that nobody asked for")
        else:
            self._store(kind, request, path, content, mode, modified_s, count)
        return True

    def _store(self, kind, request, below, content, mode, modified_s, count):
        guest, host = self._outputs[request]
        name = guest + ("/" + os.fsdecode(below) if below else "")
        if kind == ERROR:
            number = count if count in errno.errorcode else errno.EIO
            self._problems.append(f"{name}: {os.strerror(number)} in the guest")
            return
        try:
            target = _target(guest, host, below, kind)
            if kind == DIRECTORY:
                target.mkdir(parents=not below, exist_ok=True)
            elif kind == LINK:
                if target.is_symlink() or target.is_file():
                    target.unlink()
                os.symlink(content, target)
            else:
                write_file(target, content)
                os.chmod(target, stat.S_IMODE(mode) & 0o777)
                os.utime(target, (modified_s, modified_s))
        except ToolError as error:
            self._problems.append(f"{name}: {error}")
        except OSError as error:
            self._problems.append(f"{name}: {error.filename or host}: {error.strerror}")

    def _show_progress(self, start, count):
        if (count < PROGRESS_BYTES_MIN or not sys.stderr.isatty()
                or time.monotonic() < self._shown + 1):
            return
        self._shown = time.monotonic()
        here = max(0, len(self._pending) - start)
        print(f"atoll: receiving, {here / (1 << 20):.1f} of {count / (1 << 20):.1f} MiB",
              file=sys.stderr)


def _target(guest, host, below, kind):
    """Where a record goes. A wanted file goes into `host` if that is a folder."""
    target = pathlib.Path(host)
    if not below:
        return target / pathlib.PurePosixPath(guest).name if kind != DIRECTORY and target.is_dir() else target
    names = below.split(b"/")
    if any(name in (b"", b".", b"..") or b"\0" in name for name in names):
        raise ToolError("the guest sent a path that leads elsewhere", "do not trust this guest")
    for name in names[:-1]:
        target = target / os.fsdecode(name)
        if target.is_symlink() or not target.is_dir():
            raise ToolError(f"{target} is no folder", "empty the folder given to --out")
    target = target / os.fsdecode(names[-1])
    if kind == DIRECTORY and target.is_symlink():
        raise ToolError(f"{target} is a symbolic link", "empty the folder given to --out")
    return target
