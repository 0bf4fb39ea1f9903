# SPDX-License-Identifier: Apache-2.0
"""Builds kernel.elf and posix.elf with CMake and Ninja. A first build shows its progress; a build
with nothing to do is silent and quick."""
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys

from atoll.errors import ToolError
from atoll.paths import ROOT, build_directory

# Variant -> what it sets. Each has its own folder below the build folder.
VARIANTS = {
    "image": [],
    "perturb": ["-DATOLL_PERTURB=ON"],
    "hooks": ["-DATOLL_TEST_HOOKS=ON"],
    "debug": ["-DATOLL_DEBUG=ON"],
    "trace": ["-DATOLL_TRACE=ON"],
}
# A setting of net, or "neighbour" -> the kernel that has what it needs.
KERNEL = {"plain": "kernel.elf", "none": "kernel.elf", "unix": "kernel.elf", "inet": "kernel.elf", "user": "kernel-net.elf",
          "tap": "kernel-net.elf", "neighbour": "kernel-net.elf"}
# What the program's sockets can be -> the library OS that has them; "plain": none, and no rare calls (rare.py); "neighbour": AF_UNIX, and the device
# files of a neighbour.
POSIX = {"plain": "posix-plain.elf", "none": "posix.elf", "unix": "posix-unix.elf", "inet": "posix-inet.elf",
         "user": "posix-inet.elf", "tap": "posix-inet.elf", "neighbour": "posix-neighbour.elf"}
LWIP = ("lwip", "trixie")  # the first release that has 2.2
STEPS_WORTH_A_LINE = 10
_PROGRESS = re.compile(r"^\[(\d+)/(\d+)\] (.*)")


class Progress:
    """One line on a terminal that is overwritten; a few plain lines elsewhere."""

    def __init__(self, title, stream=None):
        self._title = title
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = False

    def update(self, done, total):
        if self._live:
            self._stream.write(f"\r{self._title} {done}/{total}\033[K")
            self._stream.flush()
        elif not self._shown and total >= STEPS_WORTH_A_LINE:
            self._stream.write(f"{self._title} ({total} steps) ...\n")
            self._stream.flush()
        self._shown = True

    def finish(self):
        if self._live and self._shown:
            self._stream.write("\r\033[K")
            self._stream.flush()


@contextlib.contextmanager
def locked(folder):
    """Holds the folder's lock: two commands at a time must not build the same thing."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run_ninja(folder, title, targets=(), jobs=None):
    """Builds in a configured folder; raises ToolError with the compiler's message on failure."""
    command = ["ninja", "-C", str(folder)] + ([f"-j{jobs}"] if jobs else []) + list(targets)
    progress = Progress(title)
    environment = dict(os.environ, NINJA_STATUS="[%f/%t] ")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env=environment)
    failures = []
    for line in process.stdout:
        step = _PROGRESS.match(line)
        if step:
            progress.update(int(step[1]), int(step[2]))
        elif not line.startswith("ninja: Entering"):
            failures.append(line)
    progress.finish()
    if process.wait() != 0:
        raise ToolError(f"the build failed in {folder}:\n{''.join(failures[-60:])}",
                        "mend the error above; if a tool is missing: ./atoll doctor")


def configure(folder, arguments, source=ROOT):
    """Runs CMake unless the folder is configured with these very arguments already."""
    stamp = folder / ".atoll-arguments"
    wanted = "\n".join([str(source), *arguments])
    if (folder / "build.ninja").exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    for tool in ("cmake", "ninja", "gcc"):
        if shutil.which(tool) is None:
            raise ToolError(f"{tool} is missing", "install what Atoll needs: ./atoll setup")
    done = subprocess.run(["cmake", "-S", str(source), "-B", str(folder), "-G", "Ninja", *arguments],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(f"cmake failed:\n{done.stdout[-1500:]}{done.stderr[-3000:]}",
                        f"see ./atoll doctor; to start afresh remove {folder}")
    stamp.write_text(wanted)


# @impl ATL-LLR-TOOL-0900~1
def lwip_arguments(is_needed):
    """CMake's arguments for lwIP: ATOLL_LWIP_SOURCE, or Debian's source package, which is fetched if
    it is needed and not there yet."""
    given = os.environ.get("ATOLL_LWIP_SOURCE")
    if given:
        return [f"-DATOLL_LWIP_SOURCE={given}"]
    from atoll import debian  # which builds on this module
    if not is_needed and not debian.has_source(*LWIP):
        return []
    return [f"-DATOLL_LWIP_SOURCE={debian.source_tree(*LWIP).path}"]


def build_image_parts(variant="image", net="none", jobs=None):
    """Paths of an up-to-date kernel.elf and library OS of a variant."""
    folder = build_directory() / variant
    with locked(folder):
        configure(folder, ["-DATOLL_PART=image", *VARIANTS[variant], *lwip_arguments("inet" in POSIX[net])])
        run_ninja(folder, "Building Atoll", (KERNEL[net], POSIX[net]), jobs)
    return _find(folder, KERNEL[net]), _find(folder, POSIX[net])


def _find(folder, name):
    """An executable at the top of a build folder or in its target's own."""
    for path in (folder / name, *sorted(folder.glob(f"*/{name}"))):
        if path.is_file():
            return path
    raise ToolError(f"the build made no {name} in {folder}", f"remove {folder} and try again")


def build_program(name, source):
    """Path of a program of apps/, built with musl-gcc."""
    target = build_directory() / "apps" / name
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            compile_program(["musl-gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-static", "-pthread",
                             str(source), "-o", str(target)])
    return target


def compile_program(command):
    """Runs a compiler; ToolError with its message on failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise ToolError(f"{command[0]} is missing", "install what Atoll needs: ./atoll setup") from None
    if done.returncode != 0:
        raise ToolError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}", "mend the error above")
