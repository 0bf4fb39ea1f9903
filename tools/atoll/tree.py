# SPDX-License-Identifier: Apache-2.0
"""The read-only files of an image: a default tree, --root, the program, and what --file adds. Of a
file of this machine only what it holds goes in, whether it is executable, and no time: where, when and
by whom it was put there must not change the image. An archive is taken with all that it says."""
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
PROGRAM = stat.S_IFREG | 0o755
LINK = stat.S_IFLNK | 0o777


def host_time():
    """The modification time of files of this machine: that of the convention SOURCE_DATE_EPOCH."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or "0"
    if not text.isdecimal() or int(text) >= 1 << 63:
        raise ToolError(f"SOURCE_DATE_EPOCH is {text!r}", "set it to seconds since 1970, or unset it")
    return int(text)


# @impl ATL-LLR-TOOL-0061~1
def _host_entry(item):
    """The Entry of a file, folder or symbolic link of this machine; None: something else. Permissions
    as in git: a umask must not show."""
    facts = item.lstat()
    if stat.S_ISLNK(facts.st_mode):
        return Entry(LINK, os.fsencode(os.readlink(item)), host_time())
    if stat.S_ISDIR(facts.st_mode):
        return Entry(DIRECTORY, b"", host_time())
    if stat.S_ISREG(facts.st_mode):
        mode = PROGRAM if facts.st_mode & stat.S_IXUSR else REGULAR
        return Entry(mode, item.read_bytes(), host_time())
    return None


def _entries_below(root):
    """(path relative to root, Entry or None) of everything below a folder, parents first."""
    folders = [root]
    while folders:
        for item in sorted(folders.pop().iterdir()):
            entry = _host_entry(item)
            if entry is not None and stat.S_ISDIR(entry.mode):
                folders.append(item)
            yield item.relative_to(root).as_posix(), entry


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


# Files of /etc.
USERS = {"passwd": "root:x:0:0:root:/root:/bin/sh\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
         "group": "root:x:0:\nnogroup:x:65534:\n"}


class Tree:
    """Guest path -> Entry. Parent directories appear by themselves."""

    def __init__(self, host_name="atoll"):
        self.entries = {"/": Entry(DIRECTORY)}
        for path in ("/etc", "/dev", "/proc", "/bin"):
            self.entries[path] = Entry(DIRECTORY)
        self.entries["/tmp"] = Entry(stat.S_IFDIR | 0o1777)
        self.entries["/root"] = Entry(stat.S_IFDIR | 0o700)
        texts = {
            **{f"/etc/{name}": text for name, text in USERS.items()},
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
                for path, entry in _entries_below(source):
                    if entry is None:
                        progress.skip()
                        continue
                    progress.add(len(entry.content))
                    self.add("/" + path, entry)
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
        """Adds a file or a whole folder of this machine; a symbolic link given itself is followed."""
        host = pathlib.Path(host)
        try:
            entry = _host_entry(host.resolve(strict=True))
            if entry is None:
                raise ToolError(f"{host}: neither a file nor a folder", "give a regular file")
            if guest_path(path) != "/":
                self.add(path, entry)
            for below, inner in _entries_below(host) if stat.S_ISDIR(entry.mode) else ():
                if inner is None:
                    raise ToolError(f"{host / below}: neither a file, a folder nor a symbolic link",
                                    "leave it out of the folder given to --file")
                self.add(posixpath.join(path, below), inner)
        except OSError as error:
            raise ToolError(f"{error.filename or host}: {error.strerror}",
                            "check the path given to --file") from None

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
