# SPDX-License-Identifier: Apache-2.0
"""`./atoll live`: tables of a machine that runs, over its debug line; the machine never stops for them."""
import contextlib
import json
import os
import re
import socket
import subprocess
import tempfile

from debugger import CONSOLES, Said, Session
from lib import EACH, PAIRWISE, ROOT, system_test
from test_gdb import converse, packet

from atoll.live.line import Line
from atoll.testing.results import TestFailure
from atoll.trace.command import read_trace

LOOKS = 20


@contextlib.contextmanager
def beating(guest):
    """A machine that runs heartbeat.c until the context is left; its Session."""
    program = guest.build("heartbeat.c", "-g", "-O0")
    with tempfile.TemporaryDirectory(prefix="atoll-live-") as folder:
        source, end = os.pipe()
        try:
            session = Session(guest, folder, program, (), False, stdin=source)
            if not session.begun.wait(guest.timeout_s):
                raise TestFailure("the program does not begin")
            yield session
        finally:
            os.close(end)
            session._thread.join()
            os.close(source)
        session.end().expect(stdout=b"runs\nbeaten\n")


def live(guest, session, *words):
    done = guest.tool("live", session.line, *words)
    said = Said((done.stdout + done.stderr).decode())
    if done.returncode != 0 or any(len(text) > 80 for text in done.stdout.decode().splitlines()):
        raise TestFailure(f"./atoll live {words}: {done.returncode}, or too wide", said.text)
    return said


# @verifies ATL-LLR-TOOL-0930~1 ATL-LLR-TOOL-0931~1 ATL-LLR-TOOL-0932~1 ATL-LLR-DEBUG-0751~1
# @verifies ATL-LLR-DEBUG-0805~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), console=CONSOLES)
def test_live_tables(guest):
    with beating(guest) as session:
        live(guest, session, "cores").has(r"^ +\d+  (thread|idle) +\d", guest.cores).has(r" 0$", guest.cores)
        live(guest, session, "ps").has(r"^ +1 +0  parked .* 0x[0-9a-f]+ +heartbeat$").has(
            r" (running|ready) .* compute$").has(" heart$")
        for name in ("memory", "mem"):
            live(guest, session, name).has(r"^ +\d+ +\d+ +\d+ +\d+$", guest.cores)
        live(guest, session, "threads").has(r" (running|ready) .* compute$")
        live(guest, session, "gate").has(r"^ +\d( +\d+){5}$", guest.cores).has(r"^ +\d  park +[1-9]\d*$").has(
            r"^ +0  thread_create +[1-9]\d*$").has_not(r"^ +\d  exit ")
        live(guest, session, "irqs").has(r"^ +0 +252 +\d+  debug line$").has(r"^ +\d +64 +\d+  timer$")
        channels = live(guest, session, "channels")
        if guest.cores > 1:
            channels.has(r"^ +1 +0 +\d+ +\d+$").has(r"^ +0 +1 +\d+ +\d+$")
        top = live(guest, session, "top", "--every", "500ms", "--count", "1")
        share = float(re.search(r" ([0-9.]+) +[0-9.]+  compute$", top.text, re.M)[1])
        busy = [float(value) for value in re.findall(r"^ +\d +([0-9.]+) +[0-9.]+ +\d+ +\d+$", top.text, re.M)]
        if share < 20 or len(busy) != guest.cores or max(busy) < share - 1:
            raise TestFailure("a thread that computes uses no core", top.text)
        folder = session.line.with_name("trace")
        live(guest, session, "trace", "-o", folder).has("records of")
        events = json.loads((folder / "trace.json").read_text())
        if not events or not (folder / "ctf" / "metadata").exists():
            raise TestFailure("the trace is empty")


# @verifies ATL-LLR-TOOL-1197~1
@system_test(matrix=EACH, timeout_s=100, libc=("musl",), cores=(2,))
def test_live_trace_goes_on(guest):
    """Many looks are one trace, longer than the ring, in which each record is once or counted."""
    with beating(guest) as session:
        folder = session.line.with_name("trace")
        live(guest, session, "trace", "-o", folder, "--count", "100")
        cores = read_trace(folder)
        with Line(str(session.line)) as line:
            made = [line.trace(core)[0] for core in range(guest.cores)]
        for core, limit in zip(cores, made):
            total = len(core.records) + core.dropped
            sent = [record.fields["sequence"] for record in core.records if record.name == "send"]
            if not 0 < total <= limit or len(sent) != len(set(sent)):
                raise TestFailure(f"core {core.number}: {len(core.records)} and {core.dropped} dropped, of {limit}")
        if max(len(core.records) for core in cores) <= 512:
            raise TestFailure(f"no more than a ring holds: {[len(core.records) for core in cores]}")
        live(guest, session, "trace", "-o", folder.with_name("timed"), "--for", "1ms").has("records of")


# @verifies ATL-LLR-DEBUG-1191~1 ATL-LLR-TOOL-1198~1
@system_test(matrix=EACH, timeout_s=100, libc=("musl",), cores=(2,))
def test_gdb_saves_the_trace(guest):
    with beating(guest) as session:
        place = session.line.parent
        said = session.gdb("monitor trace save", "detach")
        commands = re.findall(r"^(dump binary memory (core\d+\.ring) 0x[0-9a-f]+ 0x[0-9a-f]+)$", said.text, re.M)
        if [name for _, name in commands] != [f"core{core}.ring" for core in range(guest.cores)]:
            raise TestFailure("not a command for each core", said.text)
        session.gdb(f"cd {place}", *(command for command, _ in commands), "detach").has("detached")
        done = guest.tool("trace", "--saved", place, "-o", place / "saved")
        cores = read_trace(place / "saved")
        if done.returncode != 0 or not all(core.records for core in cores) or len(cores) != guest.cores:
            raise TestFailure("the saved rings are no trace", done.stderr.decode())
        if not any(record.name == "switch" for core in cores for record in core.records):
            raise TestFailure("nobody ran")


# @verifies ATL-LLR-DEBUG-0750~1 ATL-LLR-DEBUG-0752~1
@system_test(matrix=PAIRWISE, timeout_s=100, libc=("musl",), cores=(1, 2), machine=("microvm",), console=CONSOLES)
def test_live_stops_nothing(guest):
    """The count of stops stays, with as many looks as one likes; a debugger that comes raises it."""
    def stops():
        with Line(str(session.line)) as line:
            return [line.core(core)["stops"] for core in range(line.core_count())]
    with beating(guest) as session:
        before = stops()
        with Line(str(session.line)) as line:
            for _ in range(LOOKS):
                for core in range(guest.cores):
                    if not line.threads(core) and core == 0 or line.interrupts(core) is None:
                        raise TestFailure("no answer")
        after = stops()
        session.gdb("detach").has("detached")
        if before != [0] * guest.cores or after != before or not min(stops()) >= 1:
            raise TestFailure(f"stops: {before}, {after} with looks, {stops()} with a debugger")


# @verifies ATL-LLR-DEBUG-1123~1 ATL-LLR-TOOL-0930~1 ATL-LLR-TOOL-1280~1
@system_test(matrix=EACH, timeout_s=100, libc=("musl",), cores=(2,), ring=(3,), machine=("microvm",), console=CONSOLES)
def test_live_as_a_user_types_it(guest):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [ROOT / "atoll", "run", "--monitor", port, "--console", guest.console, "--cores", "2", guest.build("heartbeat.c")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            if process.stdout.readline() != b"runs\n":
                raise TestFailure("the program does not begin")
            said = guest.tool("live", port, "ps").stdout
            again = guest.tool("ps", port).stdout
        finally:
            rest, errors = process.communicate(b"")
    if rest != b"beaten\n" or process.returncode != 0 or b"commands this machine" not in errors or b"heartbeat" not in said \
            or b"heartbeat" not in again:
        raise TestFailure(f"{process.returncode}, {rest!r}, {errors!r}, {said!r}, {again!r}")


# @verifies ATL-LLR-DEBUG-0750~1 @robust
@system_test(matrix=EACH, timeout_s=100, libc=("musl",), cores=(2,), console=CONSOLES)
def test_live_hostile_packets(guest):
    with beating(guest) as session:
        for text in (b"1,2,8,0", b"1,ffffffffffffffff,8,0", b"1,0,0,0", b"1,0,ff,0", b"1,0,ffffffffffffffff,0",
                     b"1,0,6,0"):
            converse(session.line, packet(b"qAtoll.live:" + text), b"$e1:#")
        for text in (b"", b"1", b"1,0,8", b"1,0,8,0,", b"zz,0,8,0"):
            with Line(str(session.line)) as line:
                line._send(packet(b"qAtoll.live:" + text))
                if line.core(0) is None:
                    raise TestFailure(f"no answer behind {text}")
        with Line(str(session.line)) as line:
            line._send(b"$qAtoll.li" + b"x" * 40000 + b"\x03$qAtoll.live:1,0,")
        with Line(str(session.line)) as line:
            empty = line.ask(1, "LISTED", 1 << 63), line.ask(1, "TRACE", 1 << 63)
            if empty != (b"", b"") or line.core(1)["stops"] != 0:
                raise TestFailure(f"{empty}, or something stopped")
