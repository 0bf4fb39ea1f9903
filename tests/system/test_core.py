# SPDX-License-Identifier: Apache-2.0
"""After a crash: the report, and a core file that the real GDB opens, in which each thread's backtrace is
the one that GDB shows of the living machine."""
import contextlib
import pathlib
import queue
import re
import struct
import subprocess
import tempfile
import threading
import time

from broken import JUMP_TO_SELF, UD2, broken_image
from debugger import CONSOLES, GDB_SECONDS, Said, Session, debugged, line_of, settle
from lib import EACH, PAIRWISE, system_test

from atoll.crash import Collector, report
from atoll.elf import Elf
from atoll.machine import DIE_WITH_PARENT, MachineOptions, qemu_command
from atoll.monitor import Monitor, monitor_arguments
from atoll.net import net_of
from atoll.testing.results import TestFailure
from atoll.trace.command import read_trace

SEED = 4711
STATUS_PANIC = 255
WATCHDOG_MS = 1000
TSS_STACKS, PAGE_FAULT_STACK = 36, 2    # SDM volume 3, "64-bit TSS"; kernel/layout.h


class Ended:
    """A program that ran with --crash: the boot's Result, the report's text, the core file."""

    def __init__(self, guest, folder, program, *arguments, image=None, net=None, **settings):
        arguments = [str(word) for word in arguments]
        image = image or guest.pack(program, *arguments, variant="debug", debug=True, debug_wait=True, **settings)
        collector = Collector(folder, program, [str(program), *arguments], "serial")
        collector.parts = guest.parts("debug", net or net_of(Elf(program.read_bytes(), "program")))
        collector.start()
        try:
            self.result = guest.boot(image, qemu=collector.machine_arguments(), memory=64)
        finally:
            collector.finish()
        self.result.expect_that(collector.problem is None, f"the collector has no problem: {collector.problem}")
        self.program, self.crash = program, collector.crash
        self.report = "\n".join(report(self.crash, program)) if self.crash else ""

    def expect(self, pattern):
        self.result.expect_that(re.search(pattern, self.report, re.M), f"/{pattern}/ is in the report:\n{self.report}")
        return self

    def gdb(self, *commands):
        return gdb_on(self.program, self.crash.path, *commands)


def gdb_on(program, path, *commands):
    """What GDB says of a core file."""
    words = ["gdb", "-q", "-nx", "-batch", "-ex", "set width 0"]
    for command in commands:
        words += ["-ex", command]
    done = subprocess.run([*words, str(program), str(path)], capture_output=True, text=True, timeout=GDB_SECONDS,
                          stdin=subprocess.DEVNULL)
    return Said(done.stdout + done.stderr)


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="atoll-core-") as name:
        yield pathlib.Path(name)


def backtraces(text):
    """{thread id: its frames}, of "thread apply all bt"; of one inside posix/ those of the program."""
    found = {}
    for head, body in re.findall(r"^Thread \d+ \((.*)\):\n((?:#.*\n)+)", text + "\n", re.M):
        name = re.search(r"LWP (\d+)\b|Thread (\d+) \"", head)
        if name is None:
            continue  # a thread of posix/'s own
        frames = body.splitlines()
        calls = [i for i, frame in enumerate(frames) if frame.endswith("<signal handler called>")]
        if calls and "posix" in frames[0]:
            frames = frames[calls[0] + 1:]
        # Of a frame that has become the first one GDB has no address if it is at a line's beginning.
        found[int(name.expand(r"\1\2"))] = [re.sub(r"^#\d+ +(0x[0-9a-f]+ in )?", "", frame) for frame in frames]
    return found


def living(guest, place, program, *arguments):
    """The backtraces of the living machine when its program is about to end by the signal."""
    session = Session(guest, place, program, arguments, True, seed=SEED)
    try:
        said = session.gdb("handle SIGSEGV nostop noprint pass", "break posix_crash_report", "continue",
                           "thread apply all bt", "kill", libraries=True)
    finally:
        session._thread.join()
    return backtraces(said.text)


# Status, what the report says, and of which frame which function.
MODES = {"null": (139, r"^atoll: crash: SIGSEGV at address 0x0 \(nothing is mapped there\)$", 0, "read_at"),
         "overflow": (139, r"^atoll: crash: SIGSEGV at address 0x[0-9a-f]+ \(the access is not allowed\)$", 1,
                      "overflow"),
         "divide": (136, r"^atoll: crash: SIGFPE at address 0x[0-9a-f]+ \(integer division by zero\)$", 0,
                    "end_badly"),
         "exhaust": (137, r"^atoll: crash: SIGKILL: out of memory$", r"\d", "exhaust"),
         "abort": (134, r"^atoll: crash: SIGABRT, sent by the program itself$", 3, "end_badly")}


def ended_by_signal(guest, place, program, **settings):
    """Its end, with a report that names the right thing."""
    status, pattern, first, function = MODES[guest.mode]
    ended = Ended(guest, place, program, guest.mode, guest.cores, **settings)
    ended.result.expect(status=status)
    ended.expect(pattern).expect(rf'^  thread 2 "crashed" on core 1; {guest.cores} threads in all$')
    return ended.expect(rf"^  #{first} .* in {function} .*crashed.c:{line_of(guest.mode, 'crashed.c')}$")


# @verifies ATL-HLR-DEBUG-0700~1 ATL-LLR-DEBUG-0701~1 ATL-LLR-DEBUG-0702~1
@system_test(matrix=PAIRWISE, timeout_s=200, libc=("glibc",), cores=(4,), machine=("microvm",))
def test_core_is_as_the_living_machine(guest):
    guest.mode = {3: "null", 0: "abort"}[guest.ring]
    program = guest.build("crashed.c", "-g", "-O0")
    with folder() as place:
        ended = ended_by_signal(guest, place, program, seed=SEED)
        dead = backtraces(ended.gdb("thread apply all bt").text)
        alive = living(guest, place, program, guest.mode, str(guest.cores))
        if dead != alive or len(dead) != guest.cores:
            raise TestFailure("backtraces differ", f"core file: {dead}\nmachine: {alive}")


# @verifies ATL-LLR-DEBUG-0703~1 ATL-LLR-DEBUG-0704~1 ATL-LLR-DEBUG-0705~1 ATL-LLR-DEBUG-0706~1 ATL-LLR-TOOL-0610~1
@system_test(matrix=PAIRWISE, timeout_s=120, cores=(4, 2), mode=("overflow", "divide", "exhaust"), kind=("-static-pie", "-O1"),
             libc=("glibc",))
def test_core_tells_of_the_end(guest):
    program = guest.build("crashed.c", "-g", "-O0", guest.kind)
    with folder() as place:
        said = ended_by_signal(guest, place, program).gdb(
            "thread apply all bt 1", "print mode", "print untouched[4096]", "print $_siginfo.si_signo",
            "print $ymm0.v8_int32[7]", "info auxv", "x/i $pc", "print $orig_rax", "thread find LWP 1")
        said.has(rf'^\$1 = 0x[0-9a-f]+ "{guest.mode}"$').has(r"^\$2 = 0 '\\000'$")
        said.has(rf"^\$3 = {MODES[guest.mode][0] - 128}$").has(r"^\$4 = -?\d+$")
        said.has(r"AT_EXECFN .*\"/bin/crashed\"$").has(r"^=> 0x[0-9a-f]+ <").has(r"^\$5 = -1$")
        said.has_not("warning").has_not("Cannot access memory at address 0x[0-9a-f]+$")
        done = guest.tool("trace", "--core-file", place / "core.1", "-o", place / "trace")
        if done.returncode != 0:
            raise TestFailure("no trace comes of the core file", done.stderr.decode("utf-8", "replace"))
        rings = read_trace(place / "trace")
        if len(rings) != guest.cores or not all(core.records for core in rings):
            raise TestFailure("the trace rings are not in the core file", str(rings)[:1000])
        if not (place / "trace/ctf/metadata").is_file() or not (place / "trace/trace.json").is_file():
            raise TestFailure("the trace is not written in both formats", "")


# @verifies ATL-LLR-DEBUG-0705~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",), cores=(2,), ring=(3,), machine=("microvm",),
             mode=("well", "badly"), console=CONSOLES)
def test_command_leaves_a_core_file(guest):
    with folder() as place:
        program = guest.build("crash_null.c" if guest.mode == "badly" else "hello.c")
        done = guest.tool("run", "--crash", place / "new", "--cores", "2", "--ring", guest.ring, "--console", guest.console,
                          program, stdin=subprocess.DEVNULL)
        files = sorted(path.name for path in (place / "new").iterdir())
        expected = (139, ["core.1"], 1) if guest.mode == "badly" else (0, [], 0)
        found = (done.returncode, files, done.stderr.count(b"atoll: crash: SIGSEGV at address 0x0 ("))
        if found != expected:
            raise TestFailure(f"{found}, not {expected}", done.stderr.decode("utf-8", "replace"))


# @verifies ATL-LLR-DEBUG-0707~1
@system_test(matrix=EACH, timeout_s=120, libc=("musl",), cores=(2,))
def test_core_of_a_machine_that_goes_on(guest):
    typed = queue.Queue()
    with debugged(guest, "listen", wait=False, stdin=typed.get) as session:
        session.begun.wait(guest.timeout_s)
        settle(session, 1)
        for number, words in enumerate(((), (session.program,)), 1):
            path = session.line.with_name(f"taken.{number}")
            done = guest.tool("core", session.line, "-o", path, *words)
            if done.returncode != 0 or b"1 thread" not in done.stderr:
                raise TestFailure("no core file", done.stderr.decode("utf-8", "replace"))
            said = gdb_on(session.program, path, "bt", "print must_end", "x/i main")
            said.has(r"^#\d+ .* in read \(\)$").has(r"^\$1 = 0$").has(r"<main(\+\d+)?>:\t")
        typed.put(b"x")
        session.end().expect(status=6, stdout=b"listens\n")


ASSERTION = b"space_cell != NULL"  # the text of one that there is


def assertion(kernel, address):
    """Calls percpu_assert_failed with an expression and a file of the kernel's."""
    symbols, data = kernel.symbols(), kernel.data
    segment = next(s for s in kernel.loads if s.offset <= data.index(ASSERTION + b"\0") < s.offset + s.file_bytes)
    text = segment.address + data.index(ASSERTION + b"\0") - segment.offset
    code = b"\x48\xc7\xc7" + struct.pack("<I", text & 0xffffffff) + b"\x48\xc7\xc6" + struct.pack(
        "<I", text & 0xffffffff) + b"\xba\x4d\0\0\0"
    return code + b"\xe9" + struct.pack("<i", symbols["__wrap_percpu_assert_failed"] - (address + len(code) + 5))


def double_fault(kernel, _address):
    """Takes the stack of page faults away and makes one."""
    place = kernel.symbols()["task_state"] + TSS_STACKS + 8 * (PAGE_FAULT_STACK - 1)
    return b"\x31\xc0\x48\xa3" + struct.pack("<Q", place) + b"\x8a\x00"


# Code, what the report says, and of which functions: those that find the stack as it was at the beginning.
PANICS = {"exception": (UD2, r"exception 6 \(error 0x0\) at 0x[0-9a-f]+, address 0x[0-9a-f]+",
                        "gate_handle_unmap, called by gate_entry"),
          "assertion": (assertion, r"assertion failed: {0} \({0}:77\)".format(ASSERTION.decode()), "(__wrap_percpu_assert_failed, called by )?gate_entry"),
          "double": (double_fault, r"exception 8 \(error 0x0\) at 0x[0-9a-f]+, address 0x[0-9a-f]+",
                     "gate_handle_unmap.*"),
          "spin": (JUMP_TO_SELF, r"the watchdog: this core has not passed its scheduler in time, and is at "
                                 r"0x[0-9a-f]+", "gate_handle_unmap, called by gate_entry")}


# @verifies ATL-HLR-DEBUG-0700~1 ATL-LLR-DEBUG-0701~1 ATL-LLR-DEBUG-0708~1 ATL-LLR-DEBUG-0710~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("glibc",), cores=(4, 2), panic=tuple(PANICS))
def test_core_tells_of_a_panic(guest):
    code, reason, functions = PANICS[guest.panic]
    program = guest.build("crashed.c", "-g", "-O1")
    image, _ = broken_image(guest, "gate_handle_unmap", program, "kernel", str(guest.cores), code=code,
                            variant="debug", debug=True, debug_wait=True, net="none", watchdog=WATCHDOG_MS)
    with folder() as place:
        ended = Ended(guest, place, program, "kernel", guest.cores, image=image, net="none")
        ended.result.expect(status=STATUS_PANIC)
        ended.expect(rf"^atoll: crash: the kernel stopped itself: {reason}$")
        ended.expect(rf'^  thread 2 "crashed" on core 1; {guest.cores} threads in all$')
        ended.expect(f"^  in the kernel: {functions}$")
        said = ended.gdb("thread apply all bt")
        said.has(rf" in end_badly .*crashed.c:{line_of('kernel', 'crashed.c')}$")
        said.has(r"^#\d+ .* in __futex_abstimed_wait_common ").has(r"^#\d+ .*clone3 \(\)$", guest.cores - 1)


# @verifies ATL-LLR-DEBUG-0710~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_watchdog_lets_programs_compute_and_sleep(guest):
    image = guest.pack(guest.build("crashed.c"), "long", variant="debug", debug=True, watchdog=200)
    guest.boot(image).expect(stdout=b"", status=7)


@contextlib.contextmanager
def resettable(guest, image):
    """A machine whose end is not QEMU's: a function that reads its console up to a pattern, and one that
    resets it, when it has turned itself off, as its reset button does."""
    with folder() as place:
        (place / "image").write_bytes(image)
        options = MachineOptions(guest.cores, 64, guest.machine, extra=(
            "-action", "reboot=reset,shutdown=pause", *monitor_arguments(place / "monitor")))
        with subprocess.Popen(DIE_WITH_PARENT + qemu_command(options, place / "image"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            timer = threading.Timer(guest.timeout_s, process.kill)
            timer.start()
            said = bytearray()

            def read_until(pattern):
                while not (found := re.search(pattern, said)):
                    piece = process.stdout.read1(4096)
                    if not piece:
                        raise TestFailure(f"the machine does not say {pattern}", said.decode("utf-8", "replace"))
                    said.extend(piece)
                del said[:found.end()]
                return found

            def reset():
                monitor = Monitor(place / "monitor")
                while monitor.execute("query-status")["running"]:
                    time.sleep(0.02)
                monitor.execute("system_reset")
                monitor.execute("cont")

            try:
                yield read_until, reset
            finally:
                timer.cancel()
                process.kill()


# @verifies ATL-LLR-DEBUG-0709~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=60, libc=("glibc",), cores=(4, 2), end=("assertion", "exception", "signal"))
def test_record_survives_a_warm_reset(guest):
    program = guest.build("crashed.c")
    if guest.end == "signal":
        image = guest.pack(program, "null", str(guest.cores), framed=False, variant="debug", debug=True, net="none")
        end, core, text = rb"posix: SIGSEGV", 0, b"the program was ended by signal 11\r?\n  core 1 thread \\d+"
    else:
        image, _ = broken_image(guest, "gate_handle_unmap", program, "kernel", str(guest.cores),
                                code=PANICS[guest.end][0], variant="debug", framed=False, debug=True, net="none")
        end, core = rb"atoll: panic: core 1: [^\n]*\n", 1
        text = {"assertion": rb"assertion failed: %s \(%s:77\)" % (ASSERTION, ASSERTION),
                "exception": b"exception in the kernel"}[guest.end]
    with resettable(guest, image) as (read_until, reset):
        if b"crash record" in read_until(rb"(.|\n)*" + end)[0]:
            raise TestFailure("a first boot tells of a crash")
        reset()
        read_until(rb"atoll: crash record: core %d at \d+ ns: %s\r?\n  vector \d+ [^\n]*\n(  at [^\n]*\n)+atoll: debug"
                   % (core, text))
