# SPDX-License-Identifier: Apache-2.0
"""`./atoll live PORT strace`: the program's system calls, while it runs; compared with what strace says of the
same static program on Linux."""
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading

from debugger import CONSOLES, Session
from lib import ONE, PAIRWISE, ROOT, system_test
from test_gdb import converse, packet
from test_live import beating

from atoll.live.line import Line, kinds
from atoll.testing.results import TestFailure

SINGLE = ("files", "memory", "waits", "sockets", "signals")
ADDRESS, PORT = re.compile(r"\b0x[0-9a-f]{4,}\b"), re.compile(r"htons\(\d+\)")
GUEST, HOST = re.compile(r"\[(\d+) [^\]]*@\d+\] (.*)"), re.compile(r"(\d+) +(.*)")
THREAD_NUMBERS = re.compile(r"(?<=[( =\[])(\d+)(?=[,)\]]|$)")


def strace(guest, session, *words):
    done = guest.tool("live", session.line, "strace", *words)
    if done.returncode != 0:
        raise TestFailure(f"./atoll live strace: {done.returncode}", (done.stdout + done.stderr).decode())
    return done.stdout.decode()


@contextlib.contextmanager
def waiting(guest, *arguments, **settings):
    """A machine that waits at the program's start for somebody who lets it go."""
    program = guest.build("calls.c", "-w")
    with tempfile.TemporaryDirectory(prefix="atoll-strace-") as folder:
        session = Session(guest, folder, program, arguments, True, monitor=True, **settings)
        try:
            yield session
        finally:
            session._thread.join()


def on_host(program, expression, *arguments):
    """What Linux's strace says."""
    with tempfile.TemporaryDirectory(prefix="atoll-strace-") as folder:
        output = os.path.join(folder, "lines")
        subprocess.run(["strace", "-f", "-o", output, "-e", expression, program, *arguments], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, cwd=folder, timeout=60)
        with open(output, encoding="utf-8", errors="replace") as lines:
            return lines.read()


def joined(text, pattern):
    """{thread: its lines}, in order of appearance; a call that was cut in two is one line again."""
    threads, begun = {}, {}
    for line in text.splitlines():
        found = pattern.fullmatch(line)
        if not found:
            continue
        thread, said = found.groups()
        if said.endswith("<unfinished ...>"):
            begun[thread] = said.removesuffix("<unfinished ...>").rstrip(" ,")
            continue
        if said.startswith("<... "):
            rest = said.partition("resumed>")[2]
            said = begun[thread] + ("" if rest[:1] in (")", ",") or begun[thread][-1] == "(" else ", ") + rest
        if not said.startswith(("execve(", "+++")):
            threads.setdefault(thread, []).append(said)
    return threads


def normalised(text, pattern):
    """As joined, without what differs between any two runs: addresses, ports, numbers of threads."""
    threads = joined(text, pattern)
    names = {thread: f"<thread {i}>" for i, thread in enumerate(threads)}
    out = []
    for thread, lines in threads.items():
        for line in lines:
            line = PORT.sub("htons(<port>)", ADDRESS.sub("<address>", re.sub(r" += ", " = ", line)))
            if re.match(r"(t?g?kill|clone|set_tid_address|getpid|gettid)\b|---", line):
                line = THREAD_NUMBERS.sub(lambda found: names.get(found[1], found[1]), line)
                line = re.sub(r"si_pid=\d+", "si_pid=<process>", line)
            out.append(f"{names[thread]} {line}")
    return out


def same(said, wanted):
    for mine, linux in zip(said, wanted):
        if mine != linux:
            raise TestFailure("a line is not strace's", f"strace: {linux}\nours:   {mine}\n\n" + "\n".join(said))
    if len(said) != len(wanted) or not said:
        raise TestFailure(f"{len(said)} lines, strace has {len(wanted)}", "\n".join(said))


# @verifies ATL-LLR-TOOL-1000~1 ATL-LLR-TOOL-1001~1 ATL-LLR-TOOL-1003~1 ATL-LLR-POSIX-1000~1 ATL-LLR-POSIX-1001~1
# @verifies ATL-LLR-POSIX-1003~1 ATL-LLR-DEBUG-0800~1 ATL-LLR-DEBUG-0801~1 ATL-LLR-DEBUG-0803~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), cores=(1, 2), machine=("microvm",),
             calls=("detoured", "reflected"))
def test_strace_is_linux_strace(guest):
    with waiting(guest, *SINGLE) as session:
        said = strace(guest, session, "--start")
    session.end().expect(stdout=b"", status=len(SINGLE) + 1)
    if not said.endswith(f"\n+++ exited with {len(SINGLE) + 1} +++\n"):
        raise TestFailure("the end is not told", said)
    same(normalised(said, GUEST), normalised(on_host(session.program, "trace=all", *SINGLE), HOST))


# @verifies ATL-LLR-TOOL-1000~1 ATL-LLR-TOOL-1001~1 ATL-LLR-POSIX-1000~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), cores=(2, 1), machine=("microvm",),
             calls=("detoured", "reflected"), console=CONSOLES)
def test_strace_of_threads(guest):
    """Their futexes depend on who comes first; that a call waits is seen."""
    only = "trace=!futex,sched_getaffinity,sched_setaffinity"
    with waiting(guest, "threads") as session:
        said = strace(guest, session, "--start", "-e", only)
    session.end().expect(stdout=b"d\n", status=2)
    same(normalised(said, GUEST), normalised(on_host(session.program, only, "threads"), HOST))
    second = guest.cores - 1  # the core; who of both waits for the other depends on who comes first
    if not re.search(rf"^\[(1 calls@0\] read\(5|2 calls@{second}\] read\(3),  <unfinished \.\.\.>$", said, re.M):
        raise TestFailure("a call that waits is not seen", said)


# @verifies ATL-LLR-POSIX-1002~1 ATL-LLR-TOOL-1002~1
@system_test(matrix=ONE, timeout_s=100, libc=("musl",), cores=(2,), ring=(3, 0), many=(5000,))
def test_strace_loses_no_count(guest):
    """More calls than the line takes: each is shown once, or counted as missing."""
    with waiting(guest, "many", guest.many) as session:
        said = strace(guest, session, "--start", "-e", "trace=getppid")
    session.end().expect(stdout=b"made\n", status=3)
    shown = len(re.findall(r"getppid\(\) += 0$", said, re.M))
    cut = len(re.findall(r"getppid\( <unfinished \.\.\.>$", said, re.M))
    resumed = len(re.findall(r"<\.\.\. getppid resumed>\) += 0$", said, re.M))
    missing = sum(map(int, re.findall(r"^\+\+\+ (\d+) calls are missing", said, re.M)))
    if shown + resumed + missing != 2 * guest.many or cut != resumed or not missing or not shown:
        raise TestFailure(f"{shown} + {resumed} ({cut} begun) + {missing} of {2 * guest.many} calls")


# @verifies ATL-LLR-POSIX-1003~1 ATL-LLR-TOOL-1001~1
@system_test(matrix=ONE, timeout_s=100, libc=("musl",), cores=(1,), machine=("microvm",))
def test_strace_of_interrupted_calls(guest):
    """As Linux's strace tells it: the code that no program sees, the signal, the handler's return, and the call
    that begins again or has failed."""
    with waiting(guest, "interrupted") as session:
        said = strace(guest, session, "--start")
    session.end().expect(stdout=b"", status=2)
    alarm = (r"^--- SIGALRM \{si_signo=SIGALRM, si_code=SI_KERNEL\} ---\n"
             r"write\(4, \"x\", 1\) += 1\nrt_sigreturn\(\{mask=\[\]\}\) += ")
    lines = re.sub(r" +<unfinished \.\.\.>\n<\.\.\. \w+ resumed>", "", re.sub(r"^\[.*?\] ", "", said, flags=re.M))
    for begun, again in (
            (r"^read\(3, ?0x[0-9a-f]+, 1\) += \? ERESTARTSYS \(To be restarted if SA_RESTART is set\)\n",
             r"0\nread\(3, ?\"x\", 1\) += 1$"),
            (r"^nanosleep\(\{tv_sec=0, tv_nsec=50000000\}, NULL\) += \? ERESTART_RESTARTBLOCK \(Interrupted by signal\)\n",
             r"-1 EINTR \(Interrupted system call\)$")):
        if not re.search(begun + alarm.removeprefix("^") + again, lines, re.M):
            raise TestFailure("a call that a signal interrupts is not told so", said)


# @verifies ATL-LLR-TOOL-1002~1
@system_test(matrix=ONE, timeout_s=100, libc=("musl",), cores=(2,), machine=("microvm",))
def test_strace_counts(guest):
    """-c: as many calls and errors of each as Linux's strace counts."""
    row = re.compile(r"^ *[0-9.]+ +[0-9.]+ +\d+ +(\d+) +(?:(\d+) +)?(\w+)$", re.M)
    with waiting(guest, "files", "waits") as session:
        said = strace(guest, session, "--start", "-c")
    session.end().expect(stdout=b"", status=3)
    with tempfile.TemporaryDirectory(prefix="atoll-strace-") as folder:
        output = os.path.join(folder, "counts")
        subprocess.run(["strace", "-c", "-o", output, session.program, "files", "waits"], stdin=subprocess.DEVNULL,
                       cwd=folder, timeout=60)
        with open(output, encoding="utf-8") as lines:
            wanted = row.findall(lines.read())
    ours = {found for found in row.findall(said) if found[2] not in ("total", "exit_group")}
    if ours != {found for found in wanted if found[2] not in ("total", "execve")}:
        raise TestFailure("the counts differ", f"{said}\n{wanted}")


# @verifies ATL-LLR-TOOL-1002~1 ATL-LLR-DEBUG-0802~1 ATL-LLR-DEBUG-0800~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), cores=(2,), machine=("microvm",), console=CONSOLES)
def test_strace_of_a_machine_that_runs(guest):
    """Nothing stops; what a thread waits in is shown at once; Ctrl-C ends the look in order, and the next
    one begins anew."""
    def look(session, until, *words):
        with watching(session, *words) as (process, lines):
            for line in process.stdout:
                lines.append(line)
                if re.search(until, "".join(lines), re.M):
                    process.send_signal(signal.SIGINT)
                    break
            lines += process.stdout
        if process.returncode != 0 or not re.search(until, "".join(lines), re.M):
            raise TestFailure(f"./atoll live strace {words}: {process.returncode}", "".join(lines))
        return "".join(lines)
    with beating(guest) as session:
        look(session, r"^\[1 heartbeat@0\] read\(0,  <unfinished \.\.\.>$")
        said = look(session, r"nanosleep\(", "-e", "trace=nanosleep,clock_nanosleep")
        if re.search(r"\] (?!clock_nanosleep|nanosleep|<\.\.\. (clock_)?nanosleep)", said):
            raise TestFailure("more than was asked for", said)
        number = re.search(r"^\[(\d+) heart@", said, re.M)[1]
        said = look(session, r"= 0$", "-p", number)
        if re.search(rf"^\[(?!{number} )", said, re.M):
            raise TestFailure("other threads than was asked for", said)
        with Line(str(session.line)) as line:
            if line.core(0)["stops"] != 0:
                raise TestFailure("the machine was stopped")


@contextlib.contextmanager
def watching(session, *words):
    """The command beside the test: (its process, lines)."""
    process = subprocess.Popen([ROOT / "atoll", "live", session.line, "strace", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        yield process, []
        process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()


# @verifies ATL-LLR-DEBUG-0801~1 @robust
@system_test(matrix=ONE, timeout_s=100, libc=("musl",), cores=(2,), ring=(3, 0))
def test_strace_hostile_questions(guest):
    """Positions and sets that nobody would ask for; who asks and goes, without an end."""
    with beating(guest) as session:
        for value in (16 << 32, (1 << 64) - 1):
            converse(session.line, packet(b"qAtoll.live:1,0,%x,%x" % (kinds()["CALLS_SELECT"], value)), b"$e1:#")
        with Line(str(session.line)) as line:
            line.ask(1, "CALLS_BEGIN", 7)
            for part in range(16):
                line.ask(1, "CALLS_SELECT", part << 32 | 0xffffffff)
            for position in ((1 << 64) - 1, 1 << 48, 1 << 63, 0):
                data = line.ask(1, "CALLS_TAKE", position)
                if data is None or len(data) < 32:
                    raise TestFailure(f"position {position:#x}: {data}")
            if line.ask(1, "CALLS_OPEN", (1 << 64) - 1) != b"":
                raise TestFailure("threads that are not there")
        with Line(str(session.line)) as line:
            if line.core(1)["stops"] != 0:
                raise TestFailure("something stopped")
