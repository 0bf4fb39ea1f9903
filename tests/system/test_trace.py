# SPDX-License-Identifier: Apache-2.0
"""./atoll trace: what the rings say of programs whose shape is known, as babeltrace2 and others read it."""
import json
import pathlib
import re
import signal
import subprocess
import tempfile

from broken import JUMP_TO_SELF, UD2
from chrome_rules import wrong_in
from lib import FULL, ONE, PAIRWISE, ROOT, host_test, system_test

from atoll.elf import PT_LOAD, Elf
from atoll.testing.results import TestFailure
from atoll.trace.records import parse_rings

RECORDS_MAX = 32768  # TRACE_RECORDS of percpu/trace.h
STATUS_PANIC = 255
LINE = re.compile(r"\[(\d+):(\d+):(\d+)\.(\d+)\] \(\S+\) ([\w:]+): \{ cpu_id = (\d+) \}, \{ (.*) \}$")


def fail_unless(holds, text, log=""):
    if not holds:
        raise TestFailure(text, log)


class Trace:
    """A folder that ./atoll trace has written."""

    def __init__(self, guest, *words, options=(), status=0, stdout=b"done\n", kernel=None, program=None):
        self._place = tempfile.TemporaryDirectory(prefix="atoll-test-")
        self.folder = pathlib.Path(self._place.name) / "trace"
        program = program or guest.build("traced.c")
        parts = guest.parts("trace")
        done = guest.tool("trace", "--ring", guest.ring, "--cores", guest.cores, "--machine", guest.machine,
                          "--kernel", kernel or parts[0], "--posix", parts[1], program, *words, "-o",
                          self.folder, *options)
        self.log = done.stderr.decode()
        self.output = re.fullmatch(stdout, done.stdout)
        fail_unless(done.returncode == status and self.output,
                    f"status {done.returncode}, output {done.stdout}", self.log)
        self.guest = guest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._place.cleanup()

    def cores(self):
        return parse_rings((self.folder / "rings").read_bytes())

    def events(self):
        """([(time, event, core, text of its fields)], what babeltrace2 warns of): not by our own code."""
        done = subprocess.run(["babeltrace2", str(self.folder)], capture_output=True, text=True, timeout=60)
        fail_unless(done.returncode == 0, "babeltrace2 refuses the trace", done.stderr)
        found = []
        for line in done.stdout.splitlines():
            parts = LINE.match(line)
            fail_unless(parts, f"this is no event: {line}")
            hours, minutes, seconds, fraction = (int(n) for n in parts.groups()[:4])
            found.append((((hours * 60 + minutes) * 60 + seconds) * 10**9 + fraction, parts[5],
                          int(parts[6]), parts[7]))
        return found, done.stderr

    def summary(self):
        done = self.guest.tool("trace", "--summary", self.folder)
        fail_unless(done.returncode == 0, "no summary", done.stderr.decode())
        return done.stdout.decode()


# @verifies ATL-LLR-TOOL-0601~1 ATL-LLR-DEBUG-0600~1 ATL-LLR-DEBUG-1190~1 ATL-LLR-POSIX-1190~1
@system_test(matrix=FULL, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_babeltrace_reads_every_event(guest):
    with Trace(guest, "turns", "50") as trace:
        events, warnings = trace.events()
        fail_unless(warnings == "", "babeltrace2 warns", warnings)
        rings = trace.cores()
        kept = sum(len(ring.records) for core in rings for _, ring in core.rings())
        fail_unless(len(events) == kept and len(rings) == guest.cores, f"{len(events)} of {kept}")
        names = {event for _, event, *_ in events}
        wanted = {"switch", "interrupt", "fault", "ready", "park", "unpark", "gate_enter", "gate_leave",
                  "resume", "posix:thread", "posix:syscall_enter", "posix:syscall_leave", "posix:block",
                  "posix:futex_wake"}
        wanted |= {"send", "receive", "signal", "idle"} if guest.cores > 1 else set()
        fail_unless(wanted <= names, f"no event of {wanted - names}")
        last = [fields for _, event, _, fields in events if event == "gate_enter"][-1]
        fail_unless('call = ( "exit" : container = 0 ), first = 0x0' in last, f"the last call is {last}")
        fail_unless({core for _, _, core, _ in events} == set(range(guest.cores)), "a core is missing")


# @verifies ATL-LLR-PERCPU-0601~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4), timeout_s=60)
def test_messages_come_after_they_were_sent(guest):
    with Trace(guest, "create", "12") as trace:
        events, _ = trace.events()
        sent, count = {}, 0
        for time, event, core, fields in events:
            found = re.match(r'core = (\d+), sequence = (\d+), kind = \( "(\w+)"', fields)
            if event == "send":
                key = (core, int(found[1]), int(found[2]))
                fail_unless(key not in sent, f"two messages have the causal id {key}")
                sent[key] = (time, found[3])
            elif event == "receive":
                start = sent.get((int(found[1]), core, int(found[2])))
                fail_unless(start is not None, f"core {core} received what nobody had sent: {fields}")
                fail_unless(start[0] <= time and start[1] == found[3], "time or kind differ")
                count += 1
        kinds = {kind for _, kind in sent.values()}
        fail_unless(count >= 12 and "call" in kinds, f"{count} messages of {kinds}")


# @verifies ATL-LLR-PERCPU-0600~1 ATL-LLR-TOOL-1192~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_what_was_pushed_out_is_counted(guest):
    """Read only when the program writes its last line and when the machine has ended: what the ring could not hold is
    missing, exactly. While the kernel runs its oldest record may be about to be overwritten."""
    made = {}
    for calls in (1000, 40000):
        with Trace(guest, "yield", str(calls), options=("--every", "60m")) as trace:
            core = trace.cores()[0]
            made[calls] = core.dropped + len(core.records)
            if calls == 40000:
                fail_unless(RECORDS_MAX - 1 <= len(core.records) < made[calls], f"{len(core.records)} records")
                _, warnings = trace.events()
                fail_unless(f"discarded {core.dropped} events" in warnings, "CTF tells it", warnings)
                fail_unless(f"{core.dropped:,} dropped" in trace.summary(), "so does the summary")
            else:
                fail_unless(core.dropped == 0, "nothing was dropped")
    # Two records a call. What the rest of the program makes is the same but for interrupts of the timer and
    # the console, each of two records.
    rest = [made[calls] - 2 * calls for calls in made]
    fail_unless(min(rest) > 0 and max(rest) - min(rest) < 60, f"beside its calls it makes {rest}")


# @verifies ATL-LLR-TOOL-0602~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_json_has_tracks_and_arrows(guest):
    with Trace(guest, "create", "6") as trace:
        text = (trace.folder / "trace.json").read_text()
        fail_unless(wrong_in(text) is None, f"Chrome's format: {wrong_in(text)}")
        rows = json.loads(text)["traceEvents"]
        names = {(row["pid"], row["name"], row["args"]["name"]) for row in rows if row["ph"] == "M"}
        for core in range(guest.cores):
            fail_unless({(core, "process_name", f"core {core}"), (core, "thread_name", "kernel")} <= names,
                        f"core {core} has its tracks")
        threads = {row["tid"] for row in rows if row["ph"] == "X" and row["name"] == "runs"}
        fail_unless((0, "thread_name", "traced (1)") in names and len(threads) > 1, "threads have tracks")
        slices = [row for row in rows if row["ph"] == "X"]
        fail_unless(all(row["dur"] >= 0 for row in slices), "a slice has a length")
        starts = {row["id"]: row for row in rows if row["ph"] == "s"}
        ends = {row["id"]: row for row in rows if row["ph"] == "f"}
        fail_unless(starts.keys() == ends.keys() and (len(starts) > 0) == (guest.cores > 1), "arrows")
        for number, start in starts.items():
            fail_unless(start["pid"] != ends[number]["pid"] and start["ts"] <= ends[number]["ts"], "its way")


@host_test
def test_the_rules_find_what_is_wrong(_):
    """Each rule of chrome_rules.py, broken once."""
    def document(*rows):
        return json.dumps({"traceEvents": [{"ph": "M", "pid": 0, "tid": t, "name": "thread_name", "args": {"name": "x"}}
                                           for t in (0, 1)] + list(rows)})

    def event(phase, time, tid=0, **fields):
        return {"ph": phase, "pid": 0, "tid": tid, "name": "n", "ts": time, **fields}
    around = event("X", 0, dur=10), event("X", 0, tid=1, dur=10)
    start, end = event("s", 1, id=1, cat="c"), event("f", 2, tid=1, id=1, cat="c", bp="e")
    fail_unless(wrong_in(document(*around, event("X", 2, dur=3), start, end)) is None, "a good one")
    for name, broken in {
            "no object": "[]", "unit": json.dumps({"traceEvents": [], "displayTimeUnit": "us"}),
            "phase": document(event("?", 1)), "name": document({**event("X", 1, dur=1), "name": ""}),
            "pid": document({**event("X", 1, dur=1), "pid": "0"}), "no duration": document(event("X", 1)),
            "negative": document(event("X", 1, dur=-1)), "no time": document({**event("X", 1, dur=1), "ts": None}),
            "crossing": document(event("X", 0, dur=5), event("X", 3, dur=5)),
            "no B": document(event("E", 1)), "no E": document(event("B", 1)),
            "track without a name": document(event("X", 1, tid=7, dur=1)),
            "flow in no slice": document(around[0], start, end), "flow at a slice's end": document(
                *around, {**start, "ts": 10}, {**end, "ts": 10}),
            "flow without an end": document(*around, start), "flow without a start": document(*around, end),
            "backwards": document(*around, {**start, "ts": 3}, end), "no category": document(*around, {**start, "cat": ""}),
            "instant of nobody": document(event("i", 1, s="x")), "counter without a number": document(event("C", 1)),
            "counter of a text": document(event("C", 1, args={"value": "1"})),
            "unbound": document(*around, start, {**end, "bp": ""})}.items():
        fail_unless(wrong_in(broken) is not None, f"the rules take what is wrong: {name}")


# @verifies ATL-LLR-TOOL-0603~1 ATL-LLR-DEBUG-0600~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_summary_names_the_calls(guest):
    with Trace(guest, "yield", "3000") as trace:
        text = trace.summary()
        fail_unless(re.search(r"gate calls: [\d,]+\n  park +3,000 ", text), "park is the first", text)
        for line in (r"^core 0: program \d+\.\d %, kernel \d+\.\d %, idle \d+\.\d %, of .*; [\d,]+ records$",
                     r"^wait in a run queue: \d+: 50 % \d.*longest \d",
                     r"^message between cores: " + ("none$" if guest.cores == 1 else r"\d+: 50 % \d"),
                     r"^longest time in the kernel, interrupts off: \d.*, core \d, \w+"):
            fail_unless(re.search(line, text, re.M), f"there is no line {line}", text)
    with Trace(guest, "create", "20") as trace:
        text = trace.summary()
        fail_unless(re.search(r"^  thread_exit +20 ", text, re.M), "20 threads have ended", text)


# @verifies ATL-LLR-DEBUG-0602~1 ATL-LLR-TOOL-0604~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_a_program_that_goes_on_is_ended(guest):
    with Trace(guest, "for", "ever", options=("--for", "1500ms"), stdout=b"begins\n") as trace:
        events, _ = trace.events()
        fail_unless(any('"park"' in fields for *_, fields in events), "it slept")
        fail_unless("ended by signal 15" in trace.log, "it is told", trace.log)


# @verifies ATL-LLR-TOOL-0605~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_control_c_ends_the_program_and_keeps_its_trace(guest):
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as place:
        folder, (kernel, posix) = pathlib.Path(place) / "trace", guest.parts("trace")
        words = [ROOT / "atoll", "trace", "--ring", guest.ring, "--cores", guest.cores, "--machine", guest.machine,
                 "--kernel", kernel, "--posix", posix, guest.build("traced.c"), "for", "ever", "-o", folder]
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            fail_unless(process.stdout.readline() == b"begins\n", "it runs")
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=guest.timeout_s)
        finally:
            process.kill()
        fail_unless(process.returncode == 0, f"status {process.returncode}", errors.decode())
        last = parse_rings((folder / "rings").read_bytes())[0].records
        fail_unless(any(record.name == "gate_enter" for record in last), "its trace is there")


def patched_kernel(guest, folder, function, code):
    """A copy of the kernel that traces, with code at the beginning of a function."""
    source = guest.parts("trace")[0]
    data = bytearray(source.read_bytes())
    elf = Elf(bytes(data), "kernel")
    address = elf.symbols()[function]
    segment = next(s for s in elf.segments
                   if s.kind == PT_LOAD and 0 <= address - s.address < s.file_bytes)
    offset = segment.offset + address - segment.address
    data[offset:offset + len(code)] = code
    path = pathlib.Path(folder) / "kernel.elf"
    path.write_bytes(data)
    return path


# @verifies ATL-LLR-DEBUG-0602~1 @robust
@system_test(matrix=ONE, libc=("musl",), cores=(2,), timeout_s=60)
def test_a_kernel_that_hangs_still_tells(guest):
    with tempfile.TemporaryDirectory() as folder:
        kernel = patched_kernel(guest, folder, "gate_handle_exit", JUMP_TO_SELF)
        with Trace(guest, "yield", "10", options=("--for", "1s"), kernel=kernel) as trace:
            last = trace.cores()[0].records[-1]
            fail_unless(last.name == "gate_enter" and last.fields["call"] == 0,
                        f"the last that core 0 did is to enter the call that hangs, not {last}")


# @verifies ATL-LLR-DEBUG-1190~1 ATL-LLR-TOOL-1191~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_a_panic_leaves_its_trace(guest):
    with tempfile.TemporaryDirectory() as folder:
        kernel = patched_kernel(guest, folder, "gate_handle_exit", UD2)
        with Trace(guest, "yield", "10", status=STATUS_PANIC, kernel=kernel) as trace:
            last = trace.cores()[0].records[-1]
            fail_unless(last.name == "gate_enter" and last.fields["call"] == 0,
                        f"the last that core 0 did is to enter the call that panics, not {last}")


# @verifies ATL-LLR-DEBUG-0600~1
@system_test(matrix=ONE, libc=("musl",), cores=(1,))
def test_other_images_do_not_trace_the_gate(guest):
    symbols = Elf(guest.parts()[0].read_bytes(), "kernel").symbols()
    fail_unless("gate_handle_park" in symbols and "traced_park" not in symbols, "no second table")
    result = guest.run(guest.build("hello.c")).expect(stdout=b"Hello, world!\n")
    fail_unless(result.rings == b"", "nothing is announced")
    symbols = Elf(guest.parts()[1].read_bytes(), "library OS").symbols()
    fail_unless("posix_syscall_report" in symbols and "posix_trace_rings" not in symbols, "no rings in posix/")
