# SPDX-License-Identifier: Apache-2.0
"""`./atoll bench --many N`: as many machines at once, each with a hello that waits for the end of its
input, and what memory all of them take of this machine together."""
import os
import re
import threading

from atoll.build import compile_program, locked
from atoll.errors import ToolError
from atoll.image import image_end
from atoll.machine import (STREAM_ERROR, STREAM_KERNEL_ERROR, STREAM_OUTPUT, Guest, MachineOptions)
from atoll.options import DEFAULT_ENVIRONMENT, Settings
from atoll.pack import pack
from atoll.paths import ROOT, build_directory
from atoll.run import exit_status

SOURCE = ROOT / "bench" / "many" / "hello.c"
HELLO = b"Hello, world!\n"
MIB = 1 << 20
START_SECONDS = 600  # all machines together, on a machine that does other things
# The guest's memory by a name of its own in the lists of mappings.
RAM = ("-object", "memory-backend-memfd,id=ram,size={}M", "-machine", "memory-backend=ram")
RAM_NAME = "/memfd:memory-backend-memfd"


def _build_hello():
    target = build_directory() / "bench" / "many" / "hello"
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < SOURCE.stat().st_mtime:
            compile_program(["musl-gcc", "-O2", "-s", "-static", str(SOURCE), "-o", str(target)])
    return target


class _Machine:
    """One guest, served by a thread of its own."""

    def __init__(self, path, memory_mib, source):
        self.said, self.outcome, self.heard = bytearray(), None, threading.Event()
        extra = tuple(word.format(memory_mib) for word in RAM)
        self.guest = Guest(MachineOptions(1, memory_mib, "microvm", extra, START_SECONDS), path,
                           dict.fromkeys((STREAM_OUTPUT, STREAM_ERROR, STREAM_KERNEL_ERROR), self._hear), source)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _hear(self, payload):
        self.said += payload
        if HELLO in self.said:
            self.heard.set()

    def _serve(self):
        self.outcome = self.guest.run()
        self.heard.set()

    def is_there(self):
        return self.outcome is None and bytes(self.said) == HELLO

    def failure(self):
        """None if it said hello and ended well."""
        self.thread.join()
        if bytes(self.said) == HELLO and exit_status(self.outcome) == 0:
            return None
        return self.account()

    def account(self):
        """What is known of it so far."""
        end = self.outcome and f"{self.outcome.record} after {self.outcome.seconds:.1f} s, {self.outcome.qemu_message}"
        return f"{bytes(self.said)!r}, {end or 'still there'}"


def _resident_bytes(pid):
    """(all, the guest's memory) that a QEMU has in memory; pages shared by k processes count 1/k."""
    total = ram = 0
    is_ram = False
    with open(f"/proc/{pid}/smaps") as text:
        for line in text:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                is_ram = RAM_NAME in line
            elif line.startswith("Pss:"):
                count = int(line.split()[1]) * 1024
                total, ram = total + count, ram + (count if is_ram else 0)
    return total, ram


# @impl ATL-LLR-TOOL-0145~1
def run_many(path, count, memory_mib):
    """[(all, guest's) bytes of each] while all machines are there; ToolError unless each says hello,
    waits, and ends well."""
    reader, writer = os.pipe()
    machines = []
    try:
        for _ in range(count):
            machines.append(_Machine(path, memory_mib, reader))
        for machine in machines:
            machine.heard.wait(START_SECONDS)
        sizes = [_resident_bytes(m.guest.pid) for m in machines if m.is_there()]
        gone = [m.account() for m in machines if not m.is_there()]
    finally:
        os.close(writer)
        failures = [failure for machine in machines if (failure := machine.failure())]
        os.close(reader)
    if failures or len(sizes) < count:
        raise ToolError(f"{len(failures)} of {count} machines failed, {len(sizes)} were there at once",
                        failures[0] if failures else "; ".join(gone))
    return sizes


def _smallest_memory(path, needed_mib):
    for memory_mib in range(needed_mib, 64):
        try:
            run_many(path, 1, memory_mib)
            return memory_mib
        except ToolError:
            continue
    raise ToolError("hello runs in no memory below 64 MiB", "try it: ./atoll run")


def show_many(count, kernel, posix):
    """Boots them and prints the figures."""
    settings = Settings(cores=1, environment=dict(DEFAULT_ENVIRONMENT), kernel=kernel, posix=posix)
    image = pack(_build_hello(), [], settings, framed=True)
    path = build_directory() / "bench" / "many" / f"image-{os.getpid()}"
    path.write_bytes(image)
    try:
        memory_mib = _smallest_memory(path, image_end(image) // MIB + 1)
        sizes = run_many(path, count, memory_mib)
    finally:
        path.unlink()
    total, ram = (sum(size[i] for size in sizes) / MIB for i in (0, 1))
    print(f"image of hello: {len(image):,} bytes")
    print(f"smallest machine of one core that runs it: {memory_mib} MiB")
    print(f"{count} such machines at once: {total:,.0f} MiB of this machine's memory, {ram:,.0f} MiB of it "
          f"the guests'; each {total / count:.1f} and {ram / count:.2f} MiB")
