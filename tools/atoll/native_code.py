# SPDX-License-Identifier: Apache-2.0
"""C code in the tool: CRC-32C, for which a table in Python takes seconds for a program of 16 MiB, and
the validators of images, the kernel's and posix/'s own. Compiled once, into the build folder, under a name made from
the sources."""
import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile

from atoll.errors import ToolError
from atoll.paths import ROOT, TOOLS, build_directory

SOURCES = [TOOLS / "atoll/native/crc32c.c", TOOLS / "atoll/native/verdict.c", ROOT / "kernel/image/image.c",
           ROOT / "posix/load/index.c"]
HEADERS = [ROOT / "kernel/include/kernel/image.h", ROOT / "kernel/include/kernel/image_check.h",
           ROOT / "percpu/include/percpu/base.h", ROOT / "posix/include/posix/load.h"]
INCLUDES = [f"-I{ROOT / folder / 'include'}" for folder in ("kernel", "percpu", "posix")]


@functools.cache
def _library():
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES + HEADERS)).hexdigest()[:16]
    path = build_directory() / "tools" / f"native-{digest}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _compile(path)
    library = ctypes.CDLL(str(path))
    library.atoll_crc32c.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]
    library.atoll_crc32c.restype = ctypes.c_uint32
    library.atoll_image_verdict.argtypes = [ctypes.c_void_p, ctypes.c_uint64]
    library.atoll_image_verdict.restype = ctypes.c_char_p
    return library


def _compile(path):
    # Another `./atoll` may do the same now: compile aside, then rename.
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".so")
    os.close(handle)
    command = ["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-DATOLL_HOSTED",
               *INCLUDES, *map(str, SOURCES), "-o", temporary]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        os.replace(temporary, path)
    except FileNotFoundError:
        raise ToolError("gcc is missing", "install what Atoll needs: ./atoll setup") from None
    except subprocess.CalledProcessError as error:
        raise ToolError(f"cannot compile {', '.join(map(str, SOURCES))}:\n{error.stderr}",
                        "see what is installed: ./atoll doctor") from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def crc32c(data, before=0):
    """The CRC-32C of bytes or bytearray; of more than one, with what those before gave."""
    data = bytes(data)
    return _library().atoll_crc32c(before, data, len(data))


def image_verdict(memory, offset, count):
    """What kernel and posix/ would say of the payload at `offset` of a writable buffer, a page multiple of
    a page-aligned one: None if it is valid, else the reason."""
    view = (ctypes.c_uint8 * count).from_buffer(memory, offset)
    reason = _library().atoll_image_verdict(ctypes.addressof(view), count)
    return reason.decode() if reason is not None else None
