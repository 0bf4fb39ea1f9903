# SPDX-License-Identifier: Apache-2.0
"""The debugger's stub with the real GDB, in batch mode, over the second serial line or a port of a virtio console: what a
user types and what a user sees. The line is a socket in a folder of the test's own."""
import random
import re
import signal
import socket
import subprocess
import time

from atoll.inspect import inspect_image
from debugger import CONSOLES, GDB_SECONDS, NO_LIBRARIES, Said, debugged, line_of
from lib import EACH, ONE, PAIRWISE, system_test

from atoll.live.line import Line
from atoll.testing.results import TestFailure


# @verifies ATL-HLR-DEBUG-0001~2 ATL-LLR-DEBUG-0013~1 ATL-LLR-DEBUG-0011~1 ATL-LLR-DEBUG-0016~1
# @verifies ATL-LLR-DEBUG-0017~1 ATL-LLR-DEBUG-0022~1 ATL-LLR-DEBUG-0006~1 ATL-LLR-DEBUG-0024~1
@system_test(matrix=PAIRWISE, timeout_s=120, console=CONSOLES)
def test_gdb_break_main(guest):
    with debugged(guest, "plain", "3") as session:
        said = session.gdb("bt", "break main", "continue", "bt", "info args", "next", "next", "next",
                           "info locals", "info threads", "print twice(4)", "continue")
        said.has(r"^#0  0x[0-9a-f]+ in _start \(\)$")
        said.has(r"^Breakpoint 1, main \(argc=3, argv=0x[0-9a-f]+\) at .*debugged.c:")
        said.has(r"^#0  main \(argc=3, ").has(r"^argc = 3$").has(r"^local = 42$")
        said.has(r'^\* 1 +Thread 1 "debugged" \(core 0, running, priority 1\) main \(')
        said.has(r"^\$1 = 8$").has(r"^\[Inferior 1 \(Remote target\) exited with code 05\]$")
        result = session.end()
    result.expect(stdout=b"local 42 0\n", status=5)
    line = {"virtio": b"the port atoll.debug", "serial": b"the second serial line"}[guest.console]
    result.expect_that(b"atoll: debug image: whoever reaches %s commands" % line in result.kernel_errors,
                       "the console says what it is")


# @verifies ATL-LLR-DEBUG-0018~1 ATL-LLR-DEBUG-0008~1 ATL-LLR-DEBUG-0015~1
@system_test(matrix=EACH, timeout_s=200, cores=(2,), console=CONSOLES)
def test_gdb_sees_posix_and_kernel(guest):
    """Nothing but `target remote`: symbols of all three come over the line."""
    with debugged(guest, "idle") as session:
        call = {"musl": "posix_nanosleep", "glibc": "posix_clock_nanosleep"}[guest.libc]
        said = session.gdb("info sharedlibrary", f"break {call}", "continue", "bt", "delete",
                           "break isolation_gate_unknown", "break gate_handle_park", "continue", "bt 1",
                           "print percpu_self.value", "delete", "set var must_end = 1", "continue",
                           libraries=True)
        said.has(r"^0x[0-9a-f]+ .* Yes +target:/proc/.atoll/posix.elf$")
        said.has(r"^0xffffffff8[0-9a-f]+ .* Yes +target:/proc/.atoll/kernel.elf$")
        said.has(rf"Breakpoint 1, {call} \(").has(r"^#\d+ +<signal handler called>$")
        said.has(r" in clock_nanosleep \(").has(r"Breakpoint \d, gate_handle_park \(deadline=")
        said.has(r"^#0  gate_handle_park \(").has(r"^\$1 = 0$").has(r"exited with code 06\]$")
        session.end().expect(status=6)


# @verifies ATL-LLR-DEBUG-0007~1 ATL-LLR-DEBUG-0011~1 ATL-LLR-DEBUG-0010~1
@system_test(matrix=PAIRWISE, timeout_s=200, libc=("musl",), console=CONSOLES)
def test_gdb_threads_meet(guest):
    """A breakpoint that threads of all cores run into at once, and a thread that steps alone."""
    threads = max(2, guest.cores)
    with debugged(guest, "spin", threads) as session:
        said = session.gdb(
            "break meet", *["continue"] * 12, "info threads", "thread apply all bt 1",
            "set scheduler-locking on", "print turns", "delete", "stepi 40", "print turns",
            "print number", "set scheduler-locking off", "set var must_end = 1", "continue")
        said.has(r"hit Breakpoint 1, meet \(number=", 12)
        said.has(r"^[* ] +\d+ +Thread \d+ \"debugged\" \(core \d, ", threads + 1)
        before, after = re.findall(r"^\$\d = \{(.*)\}$", said.text, re.M)
        number = int(re.search(r"^\$3 = (\d+)$", said.text, re.M)[1])
        before, after = ([w.strip() for w in t.split(",")] for t in (before, after))
        if before[:number] + before[number + 1:] != after[:number] + after[number + 1:]:
            raise TestFailure("another thread ran while one stepped alone", said.text)
        said.has(r"exited with code 07\]$")
        session.end().expect(status=7)


# @verifies ATL-LLR-DEBUG-0011~1
@system_test(matrix=EACH, timeout_s=120, libc=("musl",), cores=(2, 4))
def test_gdb_steps_over_a_breakpoint_while_others_run(guest):
    """One thread meets it in each turn, and none of its turns is missed; the others go on between two of them: it
    waits for that itself, so how fast the machine lets each core run does not matter."""
    with debugged(guest, "alternate", guest.cores) as session:
        said = session.gdb("break meet if number == 0", "continue", "print turns", *["continue"] * 5, "print turns",
                           "delete", "set var must_end = 1", "continue")
        said.has(r"hit Breakpoint 1, meet \(number=0, turn=", 6)
        before, after = ([int(word) for word in text.split(",")[:guest.cores]]
                         for text in re.findall(r"^\$\d = \{(.*?)(?: <.*)?\}$", said.text, re.M))
        done = [new - old for old, new in zip(before, after)]
        if done[0] != 5 or sum(done[1:]) < 5:
            raise TestFailure(f"the turns of the threads are {done}", said.text)
        session.end().expect(status=7)


# @verifies ATL-LLR-DEBUG-0011~1 ATL-LLR-DEBUG-0014~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",))
def test_gdb_watch(guest):
    with debugged(guest, "write") as session:
        said = session.gdb("watch watched", "continue", "continue", "info threads", "delete",
                           "hbreak *0", "hbreak twice", "hbreak writer", "continue", "continue",
                           "detach")
        said.has(r"^Thread \d+ .*hit Hardware watchpoint 1: watched$", 2)
        said.has(r"^Old value = 0\nNew value = 5$").has(r"^Old value = 5\nNew value = 10$")
        # It was set on the first core, and the last one wrote.
        said.has(rf'^\* \d+ +Thread \d+ "debugged" \(core {guest.cores - 1}, .*\) writer \(')
        session.end().expect(status=15)


# @verifies ATL-LLR-DEBUG-0012~1 ATL-LLR-DEBUG-0022~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",))
def test_gdb_signals(guest):
    with debugged(guest, "fault") as session:
        said = session.gdb("continue", "bt 1", "print $_siginfo._sifields._sigfault.si_addr",
                           "print $_siginfo.si_code", "print twice(8)", "continue", "continue")
        said.has(r"^\$1 = .*0x8$").has(r"^\$2 = 1$").has(r"^\$3 = 16$")
        said.has(r"received signal SIGSEGV, Segmentation fault\.$")
        said.has(rf"^#0  .*fault \(\) at .*debugged.c:{line_of('fault')}$")
        said.has(r"exited with code 011\]$")
        session.end().expect(stdout=b"handler 11\n", status=9)


# @verifies ATL-LLR-DEBUG-0011~1 ATL-LLR-DEBUG-0012~1 ATL-LLR-DEBUG-0014~1 ATL-LLR-DEBUG-0009~1 ATL-LLR-DEBUG-0870~1
@system_test(matrix=EACH, timeout_s=60, libc=("musl",),
             verb=("finish", "until", "return", "awatch", "thread", "signal", "share", "range", "realtime", "memory"))
def test_gdb_verbs(guest):
    """What docs/DEBUGGING.md names beside the ways of the other tests; detached, the program goes on to its end."""
    mode, commands, wanted, status, output = {
        "finish": ("plain", ("break twice", "continue", "finish", "next", "print local"),
                   (rf"^{line_of('main')}\t.*mark: main", r"^Value returned is \$1 = 42$", r"^\$2 = 42$"), 5, b"local 42 0\n"),
        "until": ("write", (f"break {line_of('write')}", "continue", "delete", "print watched", "until", "until",
                            "print watched"),  # behind the loop, not back at its beginning
                  (r"^\$1 = 0$", r"^\d+\t    return NULL;$", r"^\$2 = 15$"), 15, b""),
        "return": ("plain", ("break twice", "continue", "return 5", "delete", "next", "print local", "call twice(local)"),
                   (r"^\$1 = 5$", r"^\$2 = 10$"), 5, b"local 5 0\n"),
        "awatch": ("write", ("awatch watched", "continue"),
                   (r"hit Hardware access \(read/write\) watchpoint 1: watched$",), 15, b""),
        "thread": ("spin", ("break meet", "continue", "print number == own_number", "delete",
                            "set var must_end = 1"), (r"^\$1 = 1$",), 7, b"spins\n"),
        "share": ("share", ("continue",), (r"^\[Inferior 1 \(Remote target\) exited with code 010\]$",), 8, b""),
        # A line is one order to the machine: it steps by itself until the line is left.
        "range": ("plain", ("break main", "continue", "set debug remote 1", "next", "set debug remote 0"),
                  (r"Sending packet: \$vCont;r[0-9a-f]+,[0-9a-f]+:p?[0-9a-f.]+",), 5, b"local 42 0\n"),
        "realtime": ("realtime", ("handle SIG63 nostop noprint pass", "continue"), (r"exited with code 037\]$",), 31, b""),
        "memory": ("plain", ("info mem",), (r"^Using memory regions provided by the target\.$",
                                            r"0x0000000000000000\s+0x0000800000000000\s+rw "), 5, b"local 42 0\n"),
        "signal": ("fault", ("continue", "signal 0", "continue"),
                   (r"received signal SIGSEGV(.|\n)*received signal SIGSEGV",), 9, b"handler 11\n"),
    }[guest.verb]
    with debugged(guest, mode) as session:
        said = session.gdb(*commands, "detach")
        for pattern in wanted:
            said.has(pattern)
        if guest.verb in ("share", "realtime"):
            said.has_not("received signal")
        session.end().expect(status=status, stdout=output)


# @verifies ATL-LLR-DEBUG-0760~1 ATL-LLR-DEBUG-0761~1 ATL-LLR-DEBUG-0762~1
@system_test(matrix=PAIRWISE, timeout_s=120)
def test_gdb_raised_signals(guest):
    """A signal of the program's own, dropped; one that is delivered; one of a timer, in a call that waits."""
    with debugged(guest, "raise") as session:
        said = session.gdb("handle SIGALRM stop print", "continue", "print $_siginfo.si_signo", "print $_siginfo.si_code", "bt",
                           "signal 0", "print users", "continue", "print users",
                           "print $_siginfo.si_code == 128", "bt 4", "continue")
        said.has(r"received signal SIGUSR1, User defined signal 1\.$", 2).has(r"^\$1 = 10$").has(r"^\$2 = -6$")
        said.has(r"^#\d+ +0x[0-9a-f]+ in (gsignal|raise) \(\)")
        if guest.libc == "glibc":
            said.has(rf"^#\d+ +0x[0-9a-f]+ in raised \(\) at .*debugged.c:{line_of('raise')}$")
        said.has(r"^\$3 = 0$").has(r"^\$4 = 1$").has(r"^\$5 = 1$")
        said.has(r"received signal SIGALRM, Alarm clock\.$").has(r"exited with code 025\]$")
        session.end().expect(status=21)


# @verifies ATL-LLR-DEBUG-0760~1
@system_test(matrix=EACH, timeout_s=120, libc=("musl",))
def test_gdb_passed_signals(guest):
    """What GDB does not want to hear of stops nothing; a signal that it catches does, and its handler can be met."""
    with debugged(guest, "raise") as session:
        said = session.gdb("handle SIGUSR1 nostop noprint pass", "break on_user if number == 14", "catch signal SIGALRM",
                           "continue", "continue", "bt", "continue", "stepi", "stepi", "delete", "continue")
        said.has(r"^Catchpoint 2 \(signal SIGALRM\)").has(r"hit Breakpoint 1, on_user \(number=14\)")
        said.has(r"<signal handler called>").has_not("received signal").has(r"exited with code 026\]$")
        session.end().expect(status=22)


# @verifies ATL-LLR-DEBUG-0022~1
@system_test(matrix=EACH, timeout_s=120)
def test_gdb_death_by_signal(guest):
    with debugged(guest, "abort") as session:
        said = session.gdb("continue", "bt", "print $_siginfo.si_code", "continue")
        said.has(r"received signal SIGABRT, Aborted\.$").has(r"^#\d+ .* in (gsignal|raise) \(").has(r"^\$1 = -6$")
        said.has(r"^Program terminated with signal SIGABRT, Aborted\.$")
        session.end().expect(status=134)


# @verifies ATL-LLR-DEBUG-0009~1 ATL-LLR-DEBUG-0005~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",))
def test_gdb_registers_and_memory(guest):
    with debugged(guest, "plain") as session:
        said = session.gdb(
            "print untouched[4096]", "print sizeof(untouched)", "break twice", "continue",
            "set var $rbx = 0x1234567890", "set var $xmm3.v2_int64[1] = 0xabcdef01234567",
            "set var $ymm2.v8_int32[7] = 77", "print $rbx", "print $xmm3.v2_int64",
            "print $ymm2.v8_int32", "print $fs_base != 0", "set var untouched[4096] = 4",
            "set var x = 50", "stepi", "print $xmm3.v2_int64", "x/2x 0x10", "continue")
        said.has(r"^\$1 = 0 '\\000'$").has(r"^\$3 = 78187493520$")
        said.has(r" = \{0, 48358647417488743\}$", 2)
        said.has(r" = \{0, 0, 0, 0, 0, 0, 0, 77\}$").has(r"^\$6 = 1$")
        said.has("Cannot access memory at address 0x10$")
        session.end().expect(stdout=b"local 100 4\n", status=5)


# @verifies ATL-LLR-DEBUG-0023~1 ATL-LLR-DEBUG-0007~1 ATL-LLR-DEBUG-0804~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",), console=CONSOLES)
def test_gdb_monitor(guest):
    with debugged(guest, "spin", guest.cores) as session:
        said = session.gdb("break meet", "continue",
                           *(f"monitor {w}" for w in ("help", "cores", "threads", "memory", "mem", "gate", "top",
                                                      "channels", "irqs", "audit", "nonsense")),
                           "delete", "set var must_end = 1", "continue")
        said.has(r"^core \d: holds$", guest.cores).has(r"^\d +(thread|idle)", guest.cores)
        said.has(r"^monitor cores ", 2).has(r"^1 +0 +[a-z]+ +1 +0x[0-9a-f]+ +debugged$")
        # A thread that spins has run longest; the timer's and the stub's interrupts have come.
        said.has(r"^thread   core  cpu %   cpu ms       name\n\d+ +\d +\d+ +\d+ +debugged$")
        said.has(r"^\d +(64|252|253) +\d+$", guest.cores).has(r"^core  free", 2)
        said.has(r"^0 +thread_create +[1-9]\d*$")
        if guest.cores > 1:
            said.has(r"^1 +0 +[1-9]\d* +\d+$").has(r"^0 +1 +[1-9]\d* +\d+$")
        tables = [line for line in said.text.splitlines() if re.match(r"\d|core|thread|monitor|from", line)]
        if any(len(line) > 80 for line in tables):
            raise TestFailure("a line is longer than 80 columns", said.text)
        session.end().expect(status=7)


def stops(session):
    """How often the machine has stood still for a debugger."""
    with Line(str(session.line)) as line:
        return line.core(0)["stops"]


# @verifies ATL-LLR-DEBUG-0756~1
@system_test(matrix=PAIRWISE, timeout_s=200, libc=("musl",), cores=(2,), machine=("microvm",))
def test_gdb_conditions(guest):
    """A condition is judged where it is met: 100,000 times without one stop. The fifth has no register
    of the machine left, nor do those that give way to watchpoints: GDB judges them."""
    with debugged(guest, "spin", guest.cores) as session:
        said = session.gdb("break meet if turn == 100000", "continue", "info args", "print turns[number]",
                           "delete", "detach")
        said.has(r"hit Breakpoint 1, meet \(number=\d, turn=100000\)").has(r"^\$1 = 100000$")
        few = stops(session)
        if not 1 <= few <= 20:
            raise TestFailure(f"{few} stops for one breakpoint", said.text)
        said = session.gdb("break meet if turn < 0", "break meet if *(int *)8 == number", "continue",
                           "info breakpoints", "delete",
                           *(f"break *((char *)twice + {i}) if x == 7" for i in (0, 1, 4)),
                           "break meet if turns[number] % 10 == 9", "break writer if 1 == 2", "watch must_end",
                           "watch watched if watched == 3", "continue", "print turns[number]", "delete",
                           "set var must_end = 1", "continue")
        said.has(r"Error in testing breakpoint condition:$")
        said.has(r"hit Breakpoint 6, ").has(r"^\$1 = \d*9$").has(r"exited with code 07\]$")
        session.end().expect(status=7)


# @verifies ATL-LLR-DEBUG-0010~1
@system_test(matrix=EACH, timeout_s=100, libc=("musl",), cores=(2, 4))
def test_gdb_services_run_beside_a_thread_alone(guest):
    """The console is another core's: a write there is done for this one though all others stand still."""
    with debugged(guest, "tell") as session:
        said = session.gdb(f"break {line_of('tell')}", "continue", "set scheduler-locking on", "next", "next", "next",
                           "print watched", "set scheduler-locking off", "continue")
        said.has(r"^\$1 = 2$").has(r"exited with code 010\]$")
        session.end().expect(status=8, stdout=b"told\n")


# @verifies ATL-LLR-DEBUG-1272~1 ATL-LLR-DEBUG-1273~1
@system_test(matrix=EACH, timeout_s=150, libc=("musl",), cores=(2,))
def test_gdb_runs_again(guest):
    """In extended mode the debugger runs the program as often as it likes: after its end, and after a kill."""
    once = b"local 42 0\n"
    with debugged(guest, "plain") as session:
        said = session.gdb("break twice", "continue", "continue", "info threads", "run", "bt", "kill", "run",
                           "delete", "continue", "set args other", "run", "set args", target="extended-remote")
        said.has(r"^(Thread \d+ .*hit )?Breakpoint 1, twice \(x=21\) at ", 3).has(r"^#1  0x[0-9a-f]+ in main \(", 1)
        said.has(r"^\[Inferior 1 \(.*\) killed\]$").has(r"^\[Inferior 1 \(.*\) exited with code 05\]$", 2)
        said.has(r"^Running the default executable on the remote target failed")
        session.gdb("continue").has("The target is not running")
        session.gdb("starti", "monitor exit", target="extended-remote").has("the machine ends")
        session.end().expect(stdout=2 * once, status=137)


# @verifies ATL-LLR-DEBUG-1270~1 ATL-LLR-DEBUG-1271~1 @robust
@system_test(matrix=ONE, timeout_s=150, libc=("musl",), cores=(4,), ring=(0,))
def test_gdb_core_that_does_not_answer(guest):
    """Of a core that not even an NMI stops, GDB sees the threads that it does not run, and its own memory; the rest goes
    on."""
    core = guest.cores - 1
    with debugged(guest, source="silent.c", wait=False) as session:
        session.begun.wait(guest.timeout_s)
        said = session.gdb("info threads", "thread apply all bt", "thread apply 4 5 print percpu_self.value",
                           "monitor cores", "break usleep", "continue", "detach", libraries=True)
        said.has(rf'^  4 +Thread 2 "silent" \(core {core}, no answer, priority 1\) +0x[0-9a-f]+ in posix_gate_page')
        said.has(rf'^  5 +Thread 3 "silent" \(core {core}, no answer, priority 1\) +<unavailable> in ')
        said.has(r"^#\d  .* in sleep_until \(", 2).has(rf"^\$\d = {core}$", 2).has(rf"^{core} +no answer$")
        said.has(r'^Thread 1 "silent" hit Breakpoint 1, ')
        session.gdb("set var must_end = 1", "continue")
        session.end().expect(stdout=b"silent\n", status=6)


# @verifies ATL-LLR-DEBUG-0010~1 ATL-LLR-DEBUG-0011~1
@system_test(matrix=ONE, timeout_s=600, libc=("musl",), cores=(1, 2))
def test_gdb_many_steps(guest):
    steps = guest.amount(1000, 10000)
    with debugged(guest, "spin", 2) as session:
        said = session.gdb("break meet", "continue", "delete", f"stepi {steps}", "bt 1", "detach",
                           seconds=guest.amount(GDB_SECONDS, 5 * GDB_SECONDS))
        said.has(r"^\[Inferior 1 \(Remote target\) detached\]$").has(r"^#0 ")
        made = stops(session)
        if not steps < made < steps + 50:
            raise TestFailure(f"{made} stops for {steps} steps", said.text)
        session.gdb("set var must_end = 1", "detach")
        session.end().expect(status=7)


def continuing(session, *commands):
    """A GDB that has been told to continue, and the machine runs"""
    mark = session.line.with_name("continued")
    mark.unlink(missing_ok=True)
    words = ["gdb", "-q", "-nx", "-batch", "-ex", NO_LIBRARIES, "-ex", f"target remote {session.line}",
             "-ex", f"python gdb.events.cont.connect(lambda event: open('{mark}', 'w').close())"]
    for command in ("continue", *commands):
        words += ["-ex", command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + GDB_SECONDS
    while not mark.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def interrupted(session, *commands):
    """Runs GDB with `continue`, sends it Ctrl-C once the machine runs, then the commands."""
    process = continuing(session, *commands)
    process.send_signal(signal.SIGINT)
    try:
        text, _ = process.communicate(timeout=GDB_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    return Said(text)


# @verifies ATL-LLR-DEBUG-0021~1 ATL-LLR-DEBUG-0007~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",), mode=("idle", "spin"), console=CONSOLES)
def test_gdb_interrupt(guest):
    with debugged(guest, guest.mode, 2) as session:
        said = interrupted(session, "info threads", "set var must_end = 1", "continue")
        said.has(r"received signal SIGINT, Interrupt\.$").has(r"^\* +\d+ +Thread ")
        status = 6 if guest.mode == "idle" else 7
        said.has(rf"exited with code 0{status}\]$")
        session.end().expect(status=status)


# @verifies ATL-LLR-DEBUG-1123~1
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",), cores=(1, 2), console=("virtio",))
def test_gdb_beside_input_and_output(guest):
    """What the program reads and writes goes over the same device, and the machine stops in the middle of it."""
    data = random.Random(1).randbytes(300000)
    with debugged(guest, "7", source="streams.c", stdin=data) as session:
        said = session.gdb("break write_all", *["continue"] * 8, "delete", "continue")
        said.has(r"^Breakpoint 1, write_all \(", 8).has(r"exited with code 07\]$")
        session.end().expect(stdout=data, stderr=b"300000 bytes\n", status=7)


# @verifies ATL-LLR-DEBUG-0763~1
@system_test(matrix=EACH, timeout_s=120, cores=(2,), libc=("glibc",), console=CONSOLES)
def test_lldb_attaches(guest):
    with debugged(guest, "spin", 2, wait=False) as session:
        session.begun.wait(guest.timeout_s)
        words = ["lldb", "-b", "-o", f"target create {session.program}",
                 "-o", f"process connect --plugin gdb-remote unix-connect://{session.line}"]
        for command in ("breakpoint set --name meet", "continue", "thread backtrace", "thread list",
                        "register read rip xmm0", "frame variable", "thread step-inst",
                        "breakpoint delete --force", "expression must_end = 1", "continue"):
            words += ["-o", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=GDB_SECONDS, stdin=subprocess.DEVNULL)
        said = Said(done.stdout + done.stderr)
        said.has(r"stop reason = breakpoint 1\.1$").has(r"^ *\* frame #0: .* debugged`meet\(number=\d, turn=\d+\)")
        said.has(r"^ +frame #1: .* debugged`worker\(").has(r"^  thread #\d: tid = 1, ")
        said.has(r"^ +rip = 0x[0-9a-f]+ +debugged`meet \+").has(r"^\(int\) number = \d$")
        said.has(r"stop reason = instruction step into$").has(r"exited with status = 7 ")
        session.end().expect(status=7)


def packet(text):
    return b"$%s#%02x" % (text, sum(text) & 0xff)


def converse(line, data, wanted):
    """Sends bytes over the line as a debugger of its own; True if the answer comes within 20 s."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(line))
        connection.sendall(data)
        said = b""
        while wanted not in said:
            try:
                piece = connection.recv(65536)
            except TimeoutError:
                raise TestFailure(f"no {wanted!r} after {data[:60]!r}", repr(said)) from None
            if not piece:
                raise TestFailure("the line closed", repr(said))
            said += piece


# @verifies ATL-HLR-DEBUG-0002~1 ATL-LLR-DEBUG-0019~1 ATL-LLR-DEBUG-0020~1 ATL-LLR-DEBUG-0014~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=120, libc=("musl",), console=CONSOLES)
def test_gdb_hostile_packets(guest):
    with debugged(guest, "idle") as session:
        converse(session.line, b"$qSupp", b"")
        for text in (b"vCont;s:7777", b"vCont;x", b"vCont;", b"vCont;c:zz", b"mffffffffffffffff,8",
                     b"m0,10", b"m", b"M10,1:00", b"X10,4:", b"p99", b"P99=00", b"P0=zz", b"P5",
                     b"Z0,10,1", b"Z0,ffffffff00000000,1", b"Z2,1001,8", b"Z2,1000,3", b"Z9,0,0", b"Z",
                     b"Hg7777", b"T7777", b"qThreadExtraInfo,7777", b"G00", b"qGetTLSAddr:9,0,0",
                     b"qXfer:auxv:read::zz", b"qAtollMap:", b"qAtollFrame:7777", b"vRun", b"vRun;", b"vRun;zz;;",
                     b"m" * 100):
            converse(session.line, packet(text), b"$E")
        for text in (b"vMustReplyEmpty", b"QNonStop:2", b"", b"\x01\xff", b"qUnknown", b"vFile:unknown:1", b"~"):
            converse(session.line, packet(text), b"$#00")
        converse(session.line, packet(b"x400000,4"), b"$b\x7fELF#")  # newer GDBs read memory so
        converse(session.line, packet(b"x10,4"), b"$E0e#")
        converse(session.line, packet(b"vFile:open:2f6e6f,0,0"), b"$F-1,2#")
        converse(session.line, packet(b"vFile:open:2f6e6f,1,0"), b"$F-1,1e#")
        converse(session.line, packet(b"vFile:pread:ffff,10,0"), b"$F-1,9#")
        converse(session.line, b"$g#00" + b"$" * 50 + b"x" * 40000 + b"#00" + packet(b"T1"), b"$OK#9a")
        session.gdb("print must_end", "set var must_end = 1", "detach").has(r"^\$1 = 0$")
        session.end().expect(status=6)


# @verifies ATL-LLR-DEBUG-0021~1
@system_test(matrix=PAIRWISE, timeout_s=300, libc=("musl",), console=CONSOLES)
def test_gdb_comes_and_goes(guest):
    """Debuggers that attach to a machine that runs, and leave it."""
    with debugged(guest, "idle") as session:
        for _ in range(3):
            session.gdb("break usleep", "print must_end", "detach").has(r"^\$1 = 0$")
        session.gdb("set var must_end = 1", "detach").has("detached")
        session.end().expect(status=6)


# @verifies ATL-LLR-DEBUG-0764~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), cores=(2,), machine=("microvm",), console=CONSOLES)
def test_gdb_killed(guest):
    """A debugger that goes in the middle of a packet, to a machine that runs or stands still, and
    one that is killed: the next one is served, and what was half said has stopped nothing."""
    greeting, go_on = packet(b"qSupported:swbreak+"), packet(b"vCont;c")
    halves = (b"$", b"$qSupp", b"$qSupported:x#", b"$qSupported:x#4", b"$m40000", b"+", b"-", b"#00", b"$X400000,4:}")
    with debugged(guest, "idle", wait=False) as session:
        session.gdb("detach").has("detached")  # the machine is there
        before = stops(session)
        for half in halves:
            hang_up(session.line, half)
        if stops(session) != before:
            raise TestFailure("half a packet stops the machine")
        for half in halves:
            hang_up(session.line, greeting, b"#", half)
            hang_up(session.line, greeting, b"#", go_on + half)
        session.gdb("print must_end", "detach").has(r"^\$1 = 0$")
        for _ in range(2):
            killed(session)
        session.gdb("info threads", "set var must_end = 1", "detach").has(r"^\* 1 +Thread 1 ")
        session.end().expect(status=6)


def hang_up(line, data, wanted=b"", last=b""):
    """Says data, waits for an answer that has `wanted` in it, says something more and is gone."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(line))  # waits for QEMU, which takes one at a time
        connection.settimeout(GDB_SECONDS)
        connection.sendall(data)
        said = b""
        while wanted not in said:
            piece = connection.recv(65536)
            if not piece:
                raise TestFailure("the line closed", repr((data, said)))
            said += piece
        connection.sendall(last)


def killed(session):
    """GDB lets the machine run, and is killed."""
    process = continuing(session)
    process.kill()
    process.communicate()


# @verifies ATL-LLR-DEBUG-0021~1 ATL-LLR-DEBUG-0764~1
@system_test(matrix=ONE, timeout_s=600, libc=("musl",), cores=(2,), machine=("microvm",), ring=(3,), times=(10, 100))
def test_gdb_attaches_often(guest):
    with debugged(guest, "idle") as session:
        commands = [f"target remote {session.line}", "print must_end", "detach"] * guest.times
        session.gdb("detach", f"file {session.program}", "set sysroot /", *commands, "target remote " + str(session.line), "set var must_end = 1",
                    "detach", seconds=guest.timeout_s).has(r"^\$\d+ = 0$", guest.times)
        session.end().expect(status=6)


# @verifies ATL-LLR-DEBUG-0025~1 ATL-HLR-DEBUG-0003~1 ATL-LLR-DEBUG-0004~1
@system_test(matrix=PAIRWISE, timeout_s=60, libc=("musl",))
def test_gdb_is_only_where_it_is_asked_for(guest):
    program = guest.build("hello.c")
    plain = guest.pack(program)
    debug = guest.pack(program, variant="debug", debug=True)
    if b"kernel.elf" in plain or b"debug image" in plain or b"atoll.debug" in plain or b"kernel.elf" not in debug:
        raise TestFailure("the stub is where it should not be, or not where it should")
    for image, says in ((plain, False), (debug, True)):
        if inspect_image(bytes(image), "image")["settings"]["debug"] != says:
            raise TestFailure(f"inspect does not say debug = {says}")
        result = guest.boot(image)
        result.expect(stdout=b"Hello, world!\n")
        result.expect_that((b"atoll: debug image" in result.kernel_errors) == says, "the line is there")
