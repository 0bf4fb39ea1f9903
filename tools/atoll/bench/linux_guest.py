# SPDX-License-Identifier: Apache-2.0
"""The Linux guest of `./atoll bench`: Debian's cloud kernel, unpacked into the build folder and not
installed, and an initial file system that holds little but the measured program."""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from atoll.build import locked
from atoll.errors import ToolError
from atoll.paths import build_directory
from atoll.tree import USERS

META_PACKAGE = "linux-image-cloud-amd64"
# The clock of the build machine is good; and a guest that ends must end QEMU.
COMMAND_LINE = "console=ttyS0 quiet panic=-1 tsc=reliable clocksource=tsc"


def linux_kernel():
    """Path of a vmlinuz, downloaded with apt at the first use."""
    return _unpacked("boot/vmlinuz-*")


def linux_modules():
    """The folder of its modules, all side by side."""
    return _unpacked("modules")


def _unpacked(pattern):
    folder = build_directory() / "bench" / "linux"
    with locked(folder):
        if not (folder / "modules").exists():
            _unpack(folder)
        found = sorted(folder.glob(pattern))
    if not found:
        raise ToolError(f"{META_PACKAGE} holds no kernel", "run ./atoll bench --no-linux")
    return found[-1]


def _run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise ToolError(f"{' '.join(map(str, command))} failed:\n{done.stderr}",
                        "refresh the package lists (apt-get update), or ./atoll bench --no-linux")
    return done.stdout


def _unpack(folder):
    depends = _run(["apt-cache", "depends", "--no-recommends", META_PACKAGE])
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    if not match:
        raise ToolError(f"apt knows no {META_PACKAGE}", "apt-get update, or ./atoll bench --no-linux")
    with tempfile.TemporaryDirectory(dir=folder) as work:
        _run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", match[1]], cwd=work)
        package = next(pathlib.Path(work).glob("*.deb"))
        _run(["dpkg", "-x", str(package), f"{work}/tree"])
        (folder / "boot").mkdir(exist_ok=True)
        for kernel in pathlib.Path(work, "tree/boot").glob("vmlinuz-*"):
            shutil.move(str(kernel), folder / "boot" / kernel.name)
        modules = pathlib.Path(work, "modules")
        modules.mkdir()
        for module in pathlib.Path(work, "tree/lib/modules").glob("*/kernel/**/*.ko"):
            shutil.move(str(module), modules / module.name)
        modules.rename(folder / "modules")


def _record(number, name, mode, data=b"", device=(0, 0)):
    """One member of a cpio archive of the "newc" kind."""
    raw = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    member = head + raw
    member += bytes(-len(member) % 4) + data
    return member + bytes(-len(member) % 4)


def _folders(files):
    """The folders, each with those above it, in which files lie."""
    return {str(parent) for _, guest in files for parent in pathlib.PurePath(guest.lstrip("/")).parents} - {"."}


def initial_files(program, files=()):
    """The bytes of an initramfs: the program, a console, folders and users that programs expect, and files as
    (host path, path in the guest's root)."""
    members = [("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
               ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)),
               ("proc", stat.S_IFDIR | 0o755, b"", (0, 0)),
               ("tmp", stat.S_IFDIR | 0o1777, b"", (0, 0)),
               ("etc", stat.S_IFDIR | 0o755, b"", (0, 0)),
               *(("etc/" + name, stat.S_IFREG | 0o644, text.encode(), (0, 0)) for name, text in USERS.items()),
               *((folder, stat.S_IFDIR | 0o755, b"", (0, 0)) for folder in sorted(_folders(files))),
               ("init", stat.S_IFREG | 0o755, pathlib.Path(program).read_bytes(), (0, 0))]
    members += [(guest.lstrip("/"), stat.S_IFREG | (0o755 if os.access(host, os.X_OK) else 0o644),
                 pathlib.Path(host).read_bytes(), (0, 0))
                for host, guest in files]
    archive = b"".join(_record(number, *member[:3], member[3])
                       for number, member in enumerate(members, 1))
    return archive + _record(0, "TRAILER!!!", 0)
