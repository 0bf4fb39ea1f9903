# SPDX-License-Identifier: Apache-2.0
"""The read-only files of an image: a default tree, the program, and what --file adds."""
import dataclasses
import os
import pathlib
import posixpath
import stat

from atoll.errors import ToolError

PATH_BYTES_MAX = 4095
NAME_BYTES_MAX = 255
SYMBOLIC_LINKS_MAX = 40


@dataclasses.dataclass
class Entry:
    """One file of the image; `content` of a symbolic link is its target."""
    mode: int
    content: bytes = b""
    modified_s: int = 0
    user: int = 0
    group: int = 0


DIRECTORY = stat.S_IFDIR | 0o755
REGULAR = stat.S_IFREG | 0o644


def guest_path(path):
    """Checks and normalises an absolute guest path."""
    if not path.startswith("/"):
        raise ToolError(f"guest path {path!r} is not absolute", "begin it with / (HOST:/guest/path)")
    if "\0" in path:
        raise ToolError(f"guest path {path!r} holds a NUL", "choose another name")
    normal = "/" + posixpath.normpath(path).lstrip("/")
    encoded = normal.encode("utf-8", "surrogateescape")
    if len(encoded) > PATH_BYTES_MAX or any(len(n) > NAME_BYTES_MAX for n in encoded.split(b"/")):
        raise ToolError(f"guest path {path[:80]!r}… is too long",
                        f"at most {PATH_BYTES_MAX} bytes, each name at most {NAME_BYTES_MAX}")
    return normal


class Tree:
    """Guest path -> Entry. Parent directories appear by themselves."""

    def __init__(self, host_name="atoll"):
        self.entries = {"/": Entry(DIRECTORY)}
        for path in ("/etc", "/dev", "/proc", "/bin"):
            self.entries[path] = Entry(DIRECTORY)
        self.entries["/tmp"] = Entry(stat.S_IFDIR | 0o1777)
        self.entries["/root"] = Entry(stat.S_IFDIR | 0o700)
        texts = {
            "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"
                           "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
            "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
            "/etc/hostname": host_name + "\n",
            "/etc/hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{host_name}\n",
        }
        for path, text in texts.items():
            self.entries[path] = Entry(REGULAR, text.encode())
        self._given = set()

    def add(self, path, entry):
        """Adds an entry; two given entries of one path, or a file as a folder, are errors."""
        path = guest_path(path)
        is_directory = stat.S_ISDIR(entry.mode)
        existing = self.entries.get(path)
        if existing is not None and (path in self._given or path == "/"):
            if is_directory and stat.S_ISDIR(existing.mode):
                return
            raise ToolError(f"two files for the guest path {path}", "give each path once")
        parent = posixpath.dirname(path)
        while parent != "/":
            above = self.entries.setdefault(parent, Entry(DIRECTORY))
            if not stat.S_ISDIR(above.mode):
                raise ToolError(f"{path}: {parent} is a file, not a folder", "choose another path")
            parent = posixpath.dirname(parent)
        if not is_directory and any(p.startswith(path + "/") for p in self.entries):
            raise ToolError(f"{path} is a folder in the image", "choose another path")
        self.entries[path] = entry
        self._given.add(path)

    def add_host(self, host, path):
        """Adds a file, a symbolic link or a whole folder of this machine."""
        host = pathlib.Path(host)
        try:
            facts = host.stat()
            if stat.S_ISDIR(facts.st_mode):
                self._add_folder(host, path)
            elif stat.S_ISREG(facts.st_mode):
                self._add_regular(host, path, facts)
            else:
                raise ToolError(f"{host}: neither a file nor a folder", "give a regular file")
        except OSError as error:
            raise ToolError(f"{host}: {error.strerror}", "check the path given to --file") from None

    def _add_regular(self, host, path, facts):
        mode = stat.S_IFREG | stat.S_IMODE(facts.st_mode)
        self.add(path, Entry(mode, host.read_bytes(), int(facts.st_mtime)))

    def _add_folder(self, host, path):
        facts = host.stat()
        if guest_path(path) != "/":
            self.add(path, Entry(stat.S_IFDIR | stat.S_IMODE(facts.st_mode), b"", int(facts.st_mtime)))
        for item in sorted(os.scandir(host), key=lambda i: i.name):
            below = posixpath.join(path, item.name)
            if item.is_symlink():
                mode = stat.S_IFLNK | 0o777
                self.add(below, Entry(mode, os.fsencode(os.readlink(item.path)),
                                      int(item.stat(follow_symlinks=False).st_mtime)))
            elif item.is_dir():
                self._add_folder(pathlib.Path(item.path), below)
            elif item.is_file():
                self._add_regular(pathlib.Path(item.path), below, item.stat())
            else:
                raise ToolError(f"{item.path}: neither a file, a folder nor a symbolic link",
                                "leave it out of the folder given to --file")

    def sorted_entries(self):
        """(path as bytes, entry), in the byte order in which the guest searches."""
        pairs = [(path.encode("utf-8", "surrogateescape"), entry)
                 for path, entry in self.entries.items()]
        return sorted(pairs, key=lambda pair: pair[0])
