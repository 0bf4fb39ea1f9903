# SPDX-License-Identifier: Apache-2.0
"""How far from the reset of a machine to the first output of a program: instructions, and the time
from the start of QEMU, beside an image that does nothing else (bench/boot/bare.S)."""
import dataclasses
import pathlib
import subprocess
import tempfile
import time

from atoll.bench.linux_guest import initial_files, linux_kernel
from atoll.bench.measure import (MEMORY_MIB, SYSTEMS, Job, atoll_image, build_plugin, linux_command,
                                 parse_counts)
from atoll.build import compile_program, locked
from atoll.errors import ToolError
from atoll.machine import DIE_WITH_PARENT, MACHINES, MachineOptions, qemu_command
from atoll.paths import ROOT, build_directory

FOLDER = ROOT / "bench" / "boot"
BARE = "bare"
HELLO = b"hello\n"
MARK = 127
# Firmware and cores wait for each other by the clock: neither number repeats exactly.
RUNS_MIN = 5
BOOT_SECONDS = 120


def make_boot_job():
    bare = _build("bare.S", "gcc", "-nostdlib", "-static", "-no-pie", "-m32", "-Wl,-Ttext=0x100000",
                  "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-e,start")
    return BootJob("boot", build_boot_program("hello.c"), bare=bare)


def build_boot_program(source):
    """A static program of bench/boot."""
    return _build(source, "musl-gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-static")


def _build(source, *command):
    target = build_directory() / "bench" / "boot" / pathlib.Path(source).stem
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < (FOLDER / source).stat().st_mtime:
            compile_program([*command, str(FOLDER / source), "-o", str(target)])
    return target


@dataclasses.dataclass(frozen=True)
class BootJob(Job):
    bare: pathlib.Path = None
    systems: tuple = (BARE, *SYSTEMS)
    runs_min: int = RUNS_MIN

    def measure(self, system, options):
        """{operation: (instructions, nanoseconds)}: a row for each kind of machine."""
        machines = ("q35",) if system == "linux" else MACHINES
        return {f"boot until main, {machine}": self._measure_on(machine, system, options)
                for machine in machines}

    def _measure_on(self, machine, system, options):
        with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
            image, counts = pathlib.Path(folder, "image"), pathlib.Path(folder, "counts")
            if system == "linux":
                image.write_bytes(initial_files(self.program))
            elif system != BARE:
                image.write_bytes(atoll_image(self, int(system[-1]), options, machine))
            command = self._command(machine, system, options, image)
            seconds = _seconds_to_hello([*command, "-plugin", f"{build_plugin()},out={counts}"])
            if not options.is_counted:
                seconds = _seconds_to_hello(command)  # counting takes time
            return parse_counts(counts.read_text())[MARK][0], 1e9 * seconds

    def _command(self, machine, system, options, image):
        if system == "linux":
            return linux_command(linux_kernel(), image, options.cores, ())
        kernel = self.bare if system == BARE else image
        return qemu_command(MachineOptions(options.cores, MEMORY_MIB, machine, is_counted=options.is_counted), kernel)


def _seconds_to_hello(command):
    """Runs a machine to its end; when its first words came."""
    started, seen, seconds = time.monotonic(), b"", None
    process = subprocess.Popen([*DIE_WITH_PARENT, "timeout", str(BOOT_SECONDS), *command],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    for byte in iter(lambda: process.stdout.read1(4096), b""):
        seen += byte
        if seconds is None and HELLO.rstrip() in seen:
            seconds = time.monotonic() - started
    process.wait()
    if seconds is None:
        raise ToolError(f"no word came from {' '.join(map(str, command))}:\n{seen[-2000:]!r}")
    return seconds
