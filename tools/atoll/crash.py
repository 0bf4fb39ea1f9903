# SPDX-License-Identifier: Apache-2.0
"""`./atoll run --crash DIR`: this command is the debugger of the machine that it boots. It lets the
program run until a signal ends it, or the kernel stops itself; then it writes a core file and a report."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from atoll.build import build_image_parts
from atoll.core_file import write_core
from atoll.debug import debug_line
from atoll.dwarf_frames import REGISTERS
from atoll.elf import Elf
from atoll.errors import ToolError
from atoll.monitor import Monitor
from atoll.remote import Remote, RemoteClosed
from atoll.snapshot import Machine, MonitorReader
from atoll.tree import guest_path

# GDB's numbers of signals that are not to be told: what they do is told. The stub knows 63.
PASSED_SIGNALS = range(1, 64)
SIGNAL_BYTES = 128              # siginfo_t
GDB_SECONDS = 60
FRAMES_SHOWN = 12
SI_TKILL, SI_USER = -6, 0
VECTOR_NMI = 2
# struct kernel_trap of kernel/main/main.h
TRAP = ("r11", "r10", "r9", "r8", "rdi", "rsi", "rdx", "rcx", "rax", "vector", "error", "rip", "cs", "rflags", "rsp")

_CODES = {(signal.SIGSEGV, 1): "nothing is mapped there", (signal.SIGSEGV, 2): "the access is not allowed",
          (signal.SIGBUS, 2): "behind the end of the file, or no memory for it",
          (signal.SIGFPE, 1): "integer division by zero", (signal.SIGILL, 2): "no such instruction"}
_FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)


def signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Crash:
    """What is known of one end: what happened in one line, and the file."""

    def __init__(self, what, snapshot, path):
        self.what, self.snapshot, self.path = what, snapshot, path
        self.kernel_functions = []  # of the core that stopped itself, the innermost first


# @impl ATL-LLR-DEBUG-0705~1
def next_path(folder):
    """The first name core.<n> in the folder that is free."""
    number = 1
    while (folder / f"core.{number}").exists():
        number += 1
    return folder / f"core.{number}"


# @impl ATL-LLR-DEBUG-0705~1
def write_aside(path, snapshot, read):
    """No half a core file is ever there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".atoll-")
    try:
        with os.fdopen(handle, "wb") as stream:
            write_core(stream, snapshot, read)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class Collector:
    """Waits beside the machine, in a thread of its own, for the program's end."""

    def __init__(self, folder, program, arguments, console):
        self._console = console
        self.folder, self._program, self._arguments = pathlib.Path(folder), program, arguments
        self._place = tempfile.TemporaryDirectory(prefix="atoll-")
        self._listeners = [self._listen("stub"), self._listen("monitor")]
        self.parts = None           # (kernel.elf, posix.elf), known when the image is packed
        self.crash = None
        self.problem = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _path(self, name):
        return pathlib.Path(self._place.name) / name

    def _listen(self, name):
        """QEMU connects to us: then nobody has to wait until it listens."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path(name)))
        listener.listen(1)
        return listener

    def machine_arguments(self):
        return (*debug_line(f"path={self._path('stub')}", self._console, is_server=False),
                "-qmp", f"unix:{self._path('monitor')}")

    def start(self):
        self._thread.start()

    def finish(self):
        """The machine is gone."""
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._thread.join()
        for listener in self._listeners:
            listener.close()
        self._place.cleanup()

    # ---- in the thread

    def _work(self):
        remote = monitor = None
        try:
            monitor = Monitor.of(self._listeners[1].accept()[0])
            remote = Remote(self._listeners[0].accept()[0])
            self._follow(remote, monitor)
        except RemoteClosed:
            pass  # the machine ended as it wanted to
        except (OSError, ToolError) as error:
            self.problem = str(error)
        finally:
            if self.problem and monitor is not None:
                with contextlib.suppress(OSError, ToolError):
                    monitor.execute("quit")  # nobody else would let it go on
            if remote is not None:
                remote.close()

    def _follow(self, remote, monitor):
        """The stub waits at the program's first instruction."""
        kernel, posix = (Elf(pathlib.Path(part).read_bytes(), str(part)) for part in self.parts)
        remote.attach()
        machine = Machine(remote, kernel, posix)
        remote.pass_signals(PASSED_SIGNALS)
        places = self._places(machine)
        for address in places:
            remote.set_breakpoint(address)
        action = b"c"
        while (found := re.match(rb"T([0-9a-f]{2}).*thread:([0-9a-f]+)", remote.go_on(action))) is not None:
            number = int(found[2], 16)
            registers = remote.registers(number).general
            if registers["rip"] in places:
                places[registers["rip"]](machine, monitor, number, registers)
                remote.detach()
                return
            action = b"C%s:%x;c" % (found[1], number)

    def _places(self, machine):
        """{address of a breakpoint: who is asked there}."""
        base = machine.posix_base
        return {base + machine.posix_symbols["posix_crash_report"]: self._at_signal,
                base + machine.posix_symbols["gate_exit"]: self._at_exit,
                base + machine.posix_symbols["posix_out_of_memory"]: self._at_want,
                machine.kernel_symbols["gate_end_by_signal"]: self._at_kernel_end,
                machine.kernel_symbols["percpu_assert_failed"]: self._at_assertion,
                machine.kernel_symbols["percpu_operation_panic"]: self._at_panic,
                machine.kernel_symbols["report_kernel_trap"]: self._at_trap}

    # posix_crash_report(self, frame, information)
    def _at_signal(self, machine, monitor, number, registers):
        information = machine.remote.memory(registers["rdx"], SIGNAL_BYTES)
        self._collect(machine, monitor, number, information.ljust(SIGNAL_BYTES, b"\0"), describe_signal)

    # gate_exit(status, signal): posix/ ends by itself when it cannot go on.
    def _at_exit(self, machine, monitor, number, registers):
        if registers["rsi"] == signal.SIGABRT:
            self._collect(machine, monitor, number, made_up(signal.SIGABRT),
                          lambda *_: "SIGABRT: an internal error of the library OS (its report is above)")

    # posix_out_of_memory(upcall)
    def _at_want(self, machine, monitor, number, _registers):
        self._collect(machine, monitor, number, made_up(signal.SIGKILL), lambda *_: "SIGKILL: out of memory")

    # gate_end_by_signal(thread, signal)
    def _at_kernel_end(self, machine, monitor, number, registers):
        reason = f"{signal_name(registers['rsi'])}: the library OS has no stack left for it"
        self._collect(machine, monitor, number, made_up(registers["rsi"]), lambda *_: reason)

    def _at_assertion(self, machine, monitor, number, registers):
        read = machine.remote.text
        reason = (f"assertion failed: {read(registers['rdi'])} "
                  f"({read(registers['rsi'])}:{registers['rdx'] & 0xffffffff})")
        self._collect_panic(machine, monitor, number, reason, machine.kernel_backtrace(registers)[1:])

    def _at_panic(self, machine, monitor, number, registers):
        self._collect_panic(machine, monitor, number, machine.remote.text(registers["rdi"]),
                            machine.kernel_backtrace(registers)[1:])

    # report_kernel_trap(trap, address), which trap_in_kernel calls: kernel/main/main.h
    def _at_trap(self, machine, monitor, number, registers):
        words = [machine.remote.word(registers["rdi"] + 8 * i) or 0 for i in range(len(TRAP))]
        trap = dict(zip(TRAP, words))
        outer = list(machine.kernel_callers(registers))[-1][0]
        broken = {**{name: outer[i] for i, name in enumerate(REGISTERS)}, **trap}
        reason = (f"exception {trap['vector']} (error {trap['error']:#x}) at {trap['rip']:#x}, "
                  f"address {registers['rsi']:#x}")
        if trap["vector"] == VECTOR_NMI:  # debug/watchdog.c
            reason = f"the watchdog: this core has not passed its scheduler in time, and is at {trap['rip']:#x}"
        self._collect_panic(machine, monitor, number, reason, machine.kernel_backtrace(broken))

    # @impl ATL-LLR-DEBUG-0708~1
    def _collect_panic(self, machine, monitor, number, reason, functions):
        self._collect(machine, monitor, number, made_up(signal.SIGABRT),
                      lambda *_: f"the kernel stopped itself: {reason}")
        self.crash.kernel_functions = functions

    def _collect(self, machine, monitor, number, information, describe):
        snapshot = machine.snapshot(number, self._arguments, information)
        for run in snapshot.runs:
            if run.path == guest_path("/bin/" + pathlib.Path(self._program).name):
                run.path = os.path.abspath(self._program)
        path = next_path(self.folder)
        write_aside(path, snapshot, MonitorReader(monitor, machine.remote))
        self.crash = Crash(describe(information), snapshot, path)


def made_up(number):
    """siginfo_t of a signal that the kernel gave."""
    return int(number).to_bytes(4, "little") + bytes(4) + (0x80).to_bytes(4, "little") + bytes(SIGNAL_BYTES - 12)


def describe_signal(information):
    number, code = (int.from_bytes(information[at:at + 4], "little", signed=True) for at in (0, 8))
    name = signal_name(number)
    if number in _FAULTS and code > 0:
        address = int.from_bytes(information[16:24], "little")
        reason = f" ({_CODES[number, code]})" if (number, code) in _CODES else ""
        return f"{name} at address {address:#x}{reason}"
    if code in (SI_TKILL, SI_USER):
        return f"{name}, sent by the program itself"
    return name


# ---- the report

# @impl ATL-LLR-DEBUG-0706~1
def report(crash, program):
    """The lines of one screen."""
    thread, *others = crash.snapshot.threads
    plural = "s" if others else ""
    lines = [f"atoll: crash: {crash.what}",
             f"  thread {thread.id} \"{thread.name}\" on core {thread.core}; "
             f"{len(others) + 1} thread{plural} in all"]
    if crash.kernel_functions:
        lines.append(f"  in the kernel: {', called by '.join(crash.kernel_functions)}")
    lines += [f"  {line}" for line in backtrace(program, crash.path)]
    size = crash.path.stat().st_blocks * 512
    lines.append(f"  core file {crash.path}, {size >> 10} KiB; to look at it: gdb {program} {crash.path}")
    return lines


def backtrace(program, path):
    """Of the thread that the core file has first, by GDB if it is there."""
    if shutil.which("gdb") is None:
        return ["(GDB would show the functions: install the package gdb)"]
    command = ["gdb", "-q", "-nx", "-batch", "-ex", "set width 0", "-ex", "set print frame-arguments scalars",
               "-ex", f"backtrace {FRAMES_SHOWN}", str(program), str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=GDB_SECONDS,
                              stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return []
    shown = [line for line in done.stdout.splitlines() if re.match(r"#\d+ |\(More stack", line)]
    starts = [i for i, line in enumerate(shown) if line.startswith("#0 ")]  # GDB greets with one, too
    return shown[starts[-1]:] if starts else []


def prepare_folder(path):
    folder = pathlib.Path(path)
    try:
        folder.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ToolError(f"{folder}: {error.strerror}", "give a folder that can be written") from None
    return folder


# @impl ATL-LLR-DEBUG-0705~1
@contextlib.contextmanager
def collecting(folder, command, settings):
    """While a machine runs that run_program makes of these settings: gives the arguments for QEMU."""
    collector = Collector(prepare_folder(folder), command[0], command, settings.console)
    find = settings.find_parts or build_image_parts

    def found(variant, net):
        collector.parts = find(variant, net)
        return collector.parts

    settings.find_parts = found
    if settings.kernel and settings.posix:
        collector.parts = settings.kernel, settings.posix
    collector.start()
    try:
        yield collector.machine_arguments()
    finally:
        collector.finish()
        if collector.problem:
            print(f"atoll: --crash: {collector.problem}", file=sys.stderr)
        if collector.crash:
            print("\n".join(report(collector.crash, command[0])), file=sys.stderr)
