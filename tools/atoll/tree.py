# SPDX-License-Identifier: Apache-2.0
"""The read-only files of an image: a default tree, --root, the program, and what --file adds."""
import dataclasses
import os
import pathlib
import posixpath
import stat
import sys
import tarfile
import time

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
        self._parents = {"/"}
        for path in self.entries:
            self._parents.add(posixpath.dirname(path))

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
            self._parents.add(parent)
            parent = posixpath.dirname(parent)
        if not is_directory and path in self._parents:
            raise ToolError(f"{path} is a folder in the image", "choose another path")
        self.entries[path] = entry
        self._given.add(path)

    # @impl ATL-LLR-TOOL-0045~1
    def add_root(self, source, verbose=False):
        """Adds a folder or a tar archive as the whole tree; what it has replaces the default files.
        Device files, sockets and named pipes are left out: posix/ makes /dev. Later files of the
        image may replace what it has."""
        progress = _Progress(source, verbose)
        source = pathlib.Path(source)
        try:
            if source.is_dir():
                for path, entry in _entries_of_folder(source, progress):
                    self.add(path, entry)
            elif source.is_file() and tarfile.is_tarfile(source):
                for path, entry in _entries_of_archive(source, progress):
                    self._replace(path, entry)
            elif source.exists():
                raise ToolError(f"{source}: neither a folder nor a tar archive",
                                "give --root a folder or an archive made by tar")
            else:
                raise ToolError(f"{source}: No such file or directory",
                                "check the path given to --root")
        except OSError as error:
            raise ToolError(f"{error.filename or source}: {error.strerror}",
                            "--root must be able to read every file") from None
        except (tarfile.TarError, KeyError, EOFError) as error: # KeyError: a link to no member
            raise ToolError(f"{source}: {error}", "make the archive again") from None
        self._given.clear()
        progress.end()

    def _replace(self, path, entry):
        """As add; of two entries of one path in an archive the later one holds."""
        if path != "/":
            self._given.discard(guest_path(path))
            self.add(path, entry)

    def resolve(self, path):
        """The path that `path` leads to through symbolic links of the tree; None: nothing there."""
        for _ in range(SYMBOLIC_LINKS_MAX):
            resolved, rest = "/", [n for n in guest_path(path).split("/") if n]
            while rest:
                resolved = posixpath.join(resolved, rest.pop(0))
                entry = self.entries.get(resolved)
                if entry is None:
                    return None
                if stat.S_ISLNK(entry.mode):
                    break
            else:
                return resolved
            target = entry.content.decode("utf-8", "surrogateescape")
            path = posixpath.join(posixpath.dirname(resolved), target, *rest)
        return None

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


class _Progress:
    """Says on a terminal, or under --verbose at the end, how far a long reading is."""

    def __init__(self, source, verbose):
        self._source, self._verbose = source, verbose
        self._files = self._bytes = self._skipped = 0
        self._next = time.monotonic() + 1
        self._is_shown = False

    def add(self, count):
        self._files += 1
        self._bytes += count
        if sys.stderr.isatty() and time.monotonic() >= self._next:
            self._next = time.monotonic() + 1
            self._is_shown = True
            print(f"\r{self._text()}", end="", file=sys.stderr, flush=True)

    def skip(self):
        self._skipped += 1

    def _text(self):
        return f"atoll: {self._source}: {self._files} files, {self._bytes / (1 << 20):.1f} MiB"

    def end(self):
        if self._is_shown:
            print(f"\r{self._text()}", file=sys.stderr)
        elif self._verbose:
            print(self._text(), file=sys.stderr)
        if self._skipped:
            print(f"atoll: {self._source}: left out {self._skipped} device files, sockets or named "
                  "pipes", file=sys.stderr)


def _entries_of_folder(root, progress):
    """(guest path, Entry) of everything below a folder, parents first. Owner and group are root's:
    who unpacked the folder does not matter in the guest."""
    folders = [root]
    while folders:
        folder = folders.pop()
        for item in sorted(os.scandir(folder), key=lambda i: i.name):
            path = "/" + os.path.relpath(item.path, root)
            facts = item.stat(follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                folders.append(pathlib.Path(item.path))
                content = b""
            elif stat.S_ISLNK(facts.st_mode):
                content = os.fsencode(os.readlink(item.path))
            elif stat.S_ISREG(facts.st_mode):
                content = pathlib.Path(item.path).read_bytes()
            else:
                progress.skip()
                continue
            progress.add(len(content))
            yield path, Entry(facts.st_mode, content, int(facts.st_mtime))


def _entries_of_archive(source, progress):
    """(guest path, Entry) of the members of a tar archive, compressed or not."""
    kinds = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK}
    with tarfile.open(source) as archive:
        for member in archive:
            path = posixpath.normpath("/" + member.name)
            content = b""
            if member.isreg() or member.islnk():
                # extractfile follows a hard link to the member that it names
                content = archive.extractfile(member).read()
            elif member.issym():
                content = os.fsencode(member.linkname)
            elif not member.isdir():
                progress.skip()
                continue
            progress.add(len(content))
            kind = kinds.get(member.type, stat.S_IFREG)
            mode = 0o777 if member.issym() else member.mode & 0o7777
            yield path, Entry(kind | mode, content, int(member.mtime), member.uid, member.gid)
