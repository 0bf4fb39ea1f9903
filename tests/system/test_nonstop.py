# SPDX-License-Identifier: Apache-2.0
"""Non-stop mode with the real GDB: one thread stands still, the rest of the machine serves. A client that
asks the program is answered whatever the debugger does."""
import contextlib
import os
import re
import socket
import subprocess
import tempfile
import threading
import time

from debugger import CONSOLES, GDB_SECONDS, NO_LIBRARIES, Session
from lib import PAIRWISE, system_test
from monitor import Monitor
from test_gdb import converse, packet

from atoll.monitor import monitor_arguments
from atoll.testing.results import TestFailure

SOURCE = "served.c"
ANSWERS = 100
CONVERSE_SECONDS = 20
LOOKS = 20


class Talk:
    """A text that grows, and readers of it, each with its own place."""

    def __init__(self):
        self.text, self._at, self._grows, self._is_over = "", {}, threading.Condition(), False

    def feed(self, data):
        with self._grows:
            self.text += data.decode("utf-8", "replace")
            self._is_over |= not data
            self._grows.notify_all()

    def wait(self, pattern, reader=None):
        """The next place behind the reader's that has the pattern."""
        deadline = time.monotonic() + GDB_SECONDS
        with self._grows:
            while True:
                found = re.compile(pattern, re.M).search(self.text, self._at.get(reader, 0))
                if found:
                    self._at[reader] = found.end()
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._is_over:
                    raise TestFailure(f"no /{pattern}/ behind {self._at}", self.text)
                self._grows.wait(left)


class Debugger:
    """GDB with its commands one by one; it hears of stops between them."""

    def __init__(self, session):
        self._process = subprocess.Popen(["gdb", "-q", "-nx"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, bufsize=0)
        self.talk, self._count = Talk(), 0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.do("set pagination off", "set confirm off", "set width 0", NO_LIBRARIES, "set non-stop on",
                f"target remote {session.line}")

    def _read(self):
        data = True
        while data:
            data = os.read(self._process.stdout.fileno(), 65536)
            self.talk.feed(data)

    def do(self, *commands):
        """What GDB says to the commands, each of which ends first."""
        begin = len(self.talk.text)
        for command in commands:
            self._count += 1
            self._process.stdin.write(f"{command}\necho \\ndone-{self._count}\\n\n".encode())
            self.talk.wait(rf"^done-{self._count}$")
        return self.talk.text[begin:]

    def stops(self, pattern):
        """Waits for a stop that it has not waited for yet."""
        return self.talk.wait(pattern, "stops")

    def value(self, expression):
        return int(re.search(r"^(?:\(gdb\) )*\$\d+ = (\d+)$", self.do(f"print {expression}"), re.M)[1])

    def states(self):
        """Of each thread of the program by its Linux id: whether it is shown as running."""
        said = self.do("info threads")
        return {int(name): "(running)" in rest for name, rest in re.findall(r"Thread (\d{1,6})\b(.*)$", said, re.M)}

    def number_of(self, name):
        """GDB's number of the thread with this Linux id"""
        return int(re.search(rf"^[* ]*(\d+) +Thread {name}\b", self.do("info threads"), re.M)[1])

    def kill(self):
        self._process.kill()
        self.end(-9)

    def end(self, status=0):
        if self._process.poll() is None and status == 0:
            self._process.stdin.write(b"quit\n")
        try:
            self._process.wait(GDB_SECONDS)
        finally:
            self._process.kill()
            self._reader.join()
            self._process.stdin.close()
            self._process.stdout.close()
        if self._process.returncode != status:
            raise TestFailure(f"GDB ends with {self._process.returncode}", self.talk.text)


class Served:
    """A machine with served.c; its client; the debugger."""

    def __init__(self, session, entry, monitor):
        self.session, self._entry, self._asked = session, entry, 10
        self.monitor = monitor
        self.answers = session.answers
        self.gdb = None

    def ask(self, times=3):
        for _ in range(times):
            self._asked += 1
            os.write(self._entry, f"{self._asked}\n".encode())
            self.answers.wait(rf"^{self._asked} {self._asked ** 2}$")

    def send(self, worker):
        os.write(self._entry, f"k{worker}\n".encode())
        self.answers.wait(f"^k{worker} sent$")

    def free(self):
        """After a failure: all that stands still goes on."""
        with contextlib.suppress(TestFailure):
            if self.gdb is not None:
                self.gdb.kill()
        converse(self.session.line, packet(b"qSupported:swbreak+") + packet(b"D"), b"$OK#")

    def finish(self):
        if self.gdb is not None:
            self.gdb.end()

    def close(self):
        """The client goes, and the program ends."""
        if self._entry is not None:
            os.close(self._entry)
            self._entry = None

    def debug(self):
        self.gdb = Debugger(self.session)
        return self.gdb


@contextlib.contextmanager
def served(guest, workers, wait=False, status=7):
    """Runs until the context is left; then the program ends by itself, with its status."""
    program = guest.build(SOURCE, "-g", "-O0")
    answers = Talk()
    with tempfile.TemporaryDirectory(prefix="atoll-gdb-") as folder:
        source, entry = os.pipe()
        session = Session(guest, folder, program, (workers,), wait, stdin=source, on_output=answers.feed,
                          qemu=monitor_arguments(f"{folder}/monitor"))
        session.answers = answers
        machine = Served(session, entry, f"{folder}/monitor")
        try:
            if not wait:
                answers.wait("^serves$")
            yield machine
            machine.finish()
        except BaseException:
            with contextlib.suppress(OSError, TestFailure):
                machine.free()
            raise
        finally:
            machine.close()
            session._thread.join()
            os.close(source)
        session.end().expect_that(session.end().status == status, f"the program ends with {status}")


# @verifies ATL-HLR-DEBUG-0840~1 ATL-LLR-DEBUG-0840~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), console=CONSOLES)
def test_nonstop_serves(guest):
    """A worker stops at a breakpoint, and steps; the server answers before, meanwhile and afterwards."""
    with served(guest, 2) as machine:
        gdb = machine.debug()
        machine.ask()
        if not all(gdb.states().values()):
            raise TestFailure("a thread stands still that nobody stopped", gdb.talk.text)
        gdb.do("break meet if number == 0")
        gdb.stops(r"hit Breakpoint 1, meet \(number=0, ")
        machine.ask()
        states = gdb.states()
        if sorted(states.values()).count(False) != 1:
            raise TestFailure(f"not one thread stands still: {states}", gdb.talk.text)
        stopped = next(name for name, runs in states.items() if not runs)
        gdb.do(f"thread {gdb.number_of(stopped)}")
        before = gdb.value("turns[0]"), gdb.value("turns[1]")
        machine.ask()
        after = gdb.value("turns[0]"), gdb.value("turns[1]")
        if after[0] != before[0] or after[1] == before[1]:
            raise TestFailure(f"turns {before}, then {after}", gdb.talk.text)
        gdb.do("next", "next")
        if gdb.value("turns[0]") != before[0] + 1:
            raise TestFailure("two lines are not one turn", gdb.talk.text)
        machine.ask()
        gdb.do("continue")
        gdb.stops(r"hit Breakpoint 1, meet \(number=0, ")
        machine.ask()
        gdb.do("detach")
        machine.ask()


# @verifies ATL-LLR-DEBUG-0841~1 ATL-LLR-DEBUG-0842~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(2,))
def test_nonstop_two_at_once(guest):
    """Two threads on two cores meet one breakpoint: both stop; one goes on alone, and steps alone."""
    with served(guest, 2) as machine:
        gdb = machine.debug()
        gdb.do("break meet")
        names = {int(gdb.stops(r"^Thread (\d+) .*hit Breakpoint 1, meet")[1]) for _ in range(2)}
        if len(names) != 2 or sorted(gdb.states().values()).count(False) != 2:
            raise TestFailure(f"not both stand still: {names}", gdb.talk.text)
        machine.ask()
        first, second = sorted(names)
        gdb.do(f"thread {second}")
        number = gdb.value("number")
        other = gdb.value(f"turns[{1 - number}]")
        gdb.do(f"thread {first}", "delete", "continue &")
        machine.ask()
        gdb.do(f"thread {second}", *["stepi"] * 20)
        if gdb.value(f"turns[{1 - number}]") == other:
            raise TestFailure("who was to go on does not", gdb.talk.text)
        before = gdb.value(f"turns[{number}]")
        machine.ask()
        if gdb.value(f"turns[{number}]") != before or sorted(gdb.states().values()).count(False) != 1:
            raise TestFailure("who was to stand still does not", gdb.talk.text)
        gdb.do("continue -a &")
        machine.ask()
        if not all(gdb.states().values()):
            raise TestFailure("a thread stands still", gdb.talk.text)
        gdb.do("detach")


# @verifies ATL-LLR-DEBUG-0840~1 ATL-LLR-DEBUG-0843~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(4,), workers=(0, 2))
def test_nonstop_interrupt(guest):
    """All threads of a machine that spins, or idles, stop, are shown where they are, and go on."""
    with served(guest, guest.workers) as machine:
        gdb = machine.debug()
        for _ in range(3):
            gdb.do("interrupt -a")
            for _ in range(guest.workers + 2):
                gdb.stops(r"^Thread \d+ .*stopped\.$")
            if any(gdb.states().values()):
                raise TestFailure("a thread runs on", gdb.talk.text)
            before = [gdb.value(f"turns[{worker}]") for worker in range(guest.workers)]
            gdb.do("thread apply all bt")
            if before != [gdb.value(f"turns[{worker}]") for worker in range(guest.workers)]:
                raise TestFailure("a thread that stands still counts", gdb.talk.text)
            gdb.do("continue -a &")
            machine.ask(1)
        gdb.do("detach")
        machine.ask()


# @verifies ATL-LLR-DEBUG-0841~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(2,))
def test_nonstop_watch_and_signals(guest):
    """A watchpoint, and signals that are dropped and delivered, stop the thread that they are of."""
    with served(guest, 2) as machine:
        gdb = machine.debug()
        one = gdb.number_of(2)
        gdb.do(f"thread {one}", "interrupt")
        gdb.stops(rf"^Thread {one} .*stopped\.$")
        gdb.do(f"watch watched thread {one}", "continue &")
        for _ in range(2):
            gdb.stops(rf"^Thread {one} .*hit Hardware watchpoint 1: watched$")
            machine.ask(1)
            gdb.do("continue &")
        gdb.stops(rf"^Thread {one} .*hit Hardware watchpoint 1: watched$")
        gdb.do("delete", "continue &")
        for delivered, command in enumerate(("signal 0 &", "continue &")):
            machine.send(0)
            gdb.stops(rf"^Thread {one} .*received signal SIGUSR1, User defined signal 1\.$")
            machine.ask(1)
            if gdb.value("$_siginfo.si_signo") != 10:
                raise TestFailure("another signal", gdb.talk.text)
            gdb.do(command)
            machine.ask(1)
            gdb.do(f"thread {one}", "interrupt")
            gdb.stops(rf"^Thread {one} .*stopped\.$")
            if gdb.value("users") != delivered:
                raise TestFailure(f"{command}: delivered or not", gdb.talk.text)
            gdb.do("continue &")
        gdb.do("detach")


# @verifies ATL-LLR-DEBUG-0846~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=200, libc=("musl",), machine=("microvm",), cores=(2,))
def test_nonstop_leaves(guest):
    """GDB goes while a thread stands still: all go on; it is killed: the rest serves, and the next one,
    of either mode, is told who stands still."""
    with served(guest, 2) as machine:
        gdb = machine.debug()
        gdb.do("break meet if number == 1")
        gdb.stops("hit Breakpoint 1, ")
        gdb.do("detach")
        gdb.end()
        machine.ask()
        gdb = machine.debug()
        gdb.do("break meet if number == 0")
        gdb.stops("hit Breakpoint 1, ")
        stopped = gdb.value("turns[0]")
        gdb.kill()
        machine.ask()
        gdb = machine.debug()
        states = gdb.states()
        gdb.do(f"thread {gdb.number_of(2)}")
        if states[2] or list(states.values()).count(False) != 1 or gdb.value("turns[0]") != stopped:
            raise TestFailure(f"the thread does not stand still any more: {states}", gdb.talk.text)
        gdb.kill()
        machine.gdb = None
        machine.session.gdb("print turns[0]", "detach").has(rf"^\$1 = {stopped}$")
        machine.ask()
        machine.session.gdb(f"print turns[0] > {stopped}", "detach").has(r"^\$1 = 1$")


# @verifies ATL-LLR-DEBUG-0844~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(1,), console=CONSOLES)
def test_nonstop_from_beginning_to_end(guest):
    with served(guest, 1, wait=True) as machine:
        gdb = machine.debug()
        said = gdb.do("bt", "break main", "continue", "next", "print count", "delete", "stepi 100", "info threads")
        for pattern in (r"#0 .* _start \(\)", r"Breakpoint 1, main \(argc=2, ", r"^\* 1 +Thread 1 "):
            if not re.search(pattern, said, re.M):
                raise TestFailure(f"no /{pattern}/", gdb.talk.text)
        gdb.do("continue &")
        machine.answers.wait("^serves$")
        machine.ask()
        machine.close()
        gdb.stops(r"\[Inferior 1 \(Remote target\) exited with code 07\]$")


# @verifies ATL-LLR-DEBUG-0844~1
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(2,))
def test_nonstop_kill(guest):
    """The end is told before it is fetched; in between nothing of the program runs, as QEMU itself shows."""
    with served(guest, 2, status=137) as machine:
        gdb = machine.debug()
        address = gdb.value("(long) &turns[1]")
        gdb.do("detach")
        gdb.end()
        machine.gdb = None
        monitor = Monitor(machine.monitor)

        def turns():
            said = monitor.execute("human-monitor-command", **{"command-line": f"x /1gd {address}", "cpu-index": 1})
            return int(said.split()[1])
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(machine.session.line))
            line.settimeout(CONVERSE_SECONDS)
            line.sendall(b"".join(packet(text) for text in (b"qSupported:swbreak+", b"QStartNoAckMode", b"QNonStop:1")))
            before = turns()
            while turns() == before:  # a worker counts until it is killed
                pass
            line.sendall(packet(b"vKill;1"))
            said = b""
            while b"%Stop:X09#" not in said:
                said += line.recv(65536)
            shown = [turns() for _ in range(LOOKS)]
            line.sendall(packet(b"vStopped"))
        if len(set(shown)) != 1:
            raise TestFailure(f"a worker counts on after its end is told: {shown}", "")


# @verifies ATL-LLR-DEBUG-0842~1 ATL-LLR-DEBUG-0843~1 ATL-LLR-DEBUG-0845~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=150, libc=("musl",), machine=("microvm",), cores=(2,))
def test_nonstop_packets(guest):
    """What GDB does not say, or says wrongly"""
    with served(guest, 1) as machine:
        line = machine.session.line
        begin = b"".join(packet(text) for text in (b"qSupported:swbreak+", b"QStartNoAckMode", b"QNonStop:1"))
        def say(*texts):
            return begin + b"".join(packet(text) for text in texts)
        converse(line, say(b"?"), b"$OK#9a$OK#9a$OK#9a")
        for text in (b"vCont;t:7777", b"vCont;t:2;x", b"vCont;t:2;c:", b"vCont;", b"vCont", b"vCont;s:2;s:zz", b"c", b"s",
                     b"Z0,ffffffff80100000,1", b"Z1,ffffffff80100000,1", b"z7"):
            converse(line, say(text), b"$E" if text != b"vCont" else b"$#00")
            machine.ask(1)
        converse(line, say(b"?"), b"$OK#9a$OK#9a$OK#9a")
        converse(line, say(b"vCont;t:2"), b"%Stop:T00thread:2;core:0;#")
        converse(line, packet(b"vCont;c"), b"$OK#9a")  # not told yet
        converse(line, packet(b"vStopped"), b"$OK#9a")
        converse(line, packet(b"vStopped"), b"$OK#9a")
        converse(line, packet(b"?"), b"$T00thread:2;core:0;#")
        converse(line, packet(b"vStopped"), b"$OK#9a")
        converse(line, packet(b"vCont;c:2"), b"$OK#9a")
        converse(line, packet(b"?"), b"$OK#9a")
        converse(line, packet(b"vCtrlC"), b"%Stop:T02thread:")
        converse(line, packet(b"vStopped"), b"$OK#9a")
        converse(line, b"\x03", b"%Stop:T02thread:")
        converse(line, packet(b"D"), b"$OK#9a")
        machine.ask()


# @verifies ATL-LLR-DEBUG-0847~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), machine=("microvm",), cores=(2,), console=CONSOLES)
def test_nonstop_line_in_both_directions(guest):
    """Bytes come while an answer is sent: it goes on, and what comes is heard."""
    with served(guest, 0) as machine, socket.socket(socket.AF_UNIX) as line:
        line.connect(str(machine.session.line))
        line.settimeout(CONVERSE_SECONDS)
        line.sendall(b"".join(packet(text) for text in (b"qSupported:swbreak+", b"QStartNoAckMode", b"QNonStop:1")))
        said = b""
        while said.count(b"$OK#9a") < 2:
            said += line.recv(65536)
        for turn in range(ANSWERS):
            line.sendall(packet(b"m400000,%x" % (800 + turn)))
            said = b""
            while not re.search(rb"#..$", said):
                said += line.recv(64)
                line.sendall(b"+")
            if len(said) != 2 * (800 + turn) + 4:
                raise TestFailure(f"{len(said)} bytes of an answer", repr(said))
        line.sendall(packet(b"D"))
        while not said.endswith(b"$OK#9a"):
            said += line.recv(65536)
