# SPDX-License-Identifier: Apache-2.0
"""./atoll trace: what a program and posix/ note themselves, and what of it arrives."""
import json
import pathlib
import re
import subprocess
import tempfile

from chrome_rules import wrong_in
from lib import EACH, ONE, PAIRWISE, ROOT, host_test, system_test
from test_trace import Trace, fail_unless

from atoll.trace.records import parse_rings

HEADERS = f"-I{ROOT / 'posix/include'}"
SLOTS = 4096  # posix/include/atoll/trace_abi.h
BURSTS, BURST = 5, 3000
SPANS = ("outer", "inner", "wait for it", "as atrace")


def marked(guest):
    return guest.build("marked.c", HEADERS)


def storm_records(cores):
    return [record for core in cores for record in core.program.records]


# @verifies ATL-LLR-POSIX-1190~1 ATL-LLR-POSIX-1191~1 ATL-LLR-POSIX-1192~1 ATL-LLR-TOOL-1194~1
@system_test(matrix=PAIRWISE, libc=("musl", "glibc"), cores=(1, 2), timeout_s=60)
def test_babeltrace_reads_the_program_s_events(guest):
    with Trace(guest, "all", "0", program=marked(guest), stdout=re.compile(rb"descriptor (\d+)\ndone\n")) as trace:
        events, warnings = trace.events()
        fail_unless(warnings == "", "babeltrace2 warns", warnings)
        own = [(event.removeprefix("program:"), fields.removeprefix("thread = ")) for _, event, _, fields in events
               if event.startswith("program:")]
        wanted = [("begin", '1 }, { name = "outer"'), ("begin", '1 }, { name = "inner"'),
                  ("counter", '1 }, { name = "level", value = 5'),
                  ("instant", '1 }, { name = "it happened", value = -3'), ("end", "1 }, {"),
                  ("begin", '2 }, { name = "wait for it"'), ("end", "2 }, {"),
                  ("marker", '1 }, { text = "plain text"'), ("marker", '1 }, { text = "B|1|as atrace"'),
                  ("marker", '1 }, { text = "E|1"'), ("marker", '1 }, { text = "C|1|level|-7"'),
                  ("marker", f'1 }}, {{ text = "{100 * "x"}"'), ("end", "1 }, {")]
        fail_unless([(event, fields.strip()) for event, fields in own] == wanted, f"its events are {own}")
        posix = [(event, fields) for _, event, _, fields in events if event.startswith("posix:")]
        for what, pattern in (("posix:thread", r'thread = 2 \}, \{ index = \d+, name = "second"'),
                              ("posix:block", r'thread = 2 \}, \{ call = \( "futex"'),
                              ("posix:futex_wake", r"thread = 1 \}.* woken = 1"),
                              ("posix:epoll_ready", rf"descriptor = {trace.output[1].decode()}, events = 0x1$"),
                              ("posix:syscall_leave", r'\( "read" : container = 0 \), result = -9')):
            fail_unless(any(event == what and re.search(pattern, fields.strip()) for event, fields in posix),
                        f"no {what} {pattern}", "\n".join(map(str, posix)))


# @verifies ATL-LLR-TOOL-1195~1 ATL-LLR-TOOL-1196~1
@system_test(matrix=EACH, libc=("musl",), cores=(2,), timeout_s=60)
def test_json_and_summary_show_the_program(guest):
    with Trace(guest, "all", "0", program=marked(guest), stdout=re.compile(rb"descriptor (\d+)\ndone\n")) as trace:
        text = (trace.folder / "trace.json").read_text()
        fail_unless(wrong_in(text) is None, f"Chrome's format: {wrong_in(text)}")
        rows = json.loads(text)["traceEvents"]
        tracks = {row["args"]["name"] for row in rows if row["name"] == "thread_name"}
        fail_unless({"marked (1)", "second (2)"} <= tracks, f"tracks {tracks}")
        slices = {row["name"]: row for row in rows if row["ph"] == "X" and row["cat"] == "program"}
        fail_unless(set(slices) == set(SPANS), f"spans {set(slices)}")
        outer, inner = slices["outer"], slices["inner"]
        fail_unless(outer["ts"] <= inner["ts"] and inner["dur"] < outer["dur"], "one lies in the other")
        fail_unless(slices["wait for it"]["dur"] >= 20000 - 10000, "it waits while the other sleeps")
        counters = [(row["name"], row["args"]["value"]) for row in rows if row["ph"] == "C"]
        fail_unless(counters == [("level", 5), ("level", -7)], f"counters {counters}")
        fail_unless(any(row["ph"] == "i" and row["name"] == "it happened" and row["args"] == {"value": -3}
                        for row in rows), "an instant")
        fail_unless(any(row["ph"] == "X" and row["cat"] == "call" and row["name"] == "futex" for row in rows), "a call")
        summary = trace.summary()
        for line in (r"^system calls: \d+$", r"^spans of the program: 4$", r"^  outer +1  half within ",
                     r"^other events of the program: 5$", r"^  level +2  -7 to 5, at last -7$"):
            fail_unless(re.search(line, summary, re.M), f"there is no line {line}", summary)


# @verifies ATL-LLR-TOOL-1192~1 ATL-LLR-TOOL-1194~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=90)
def test_an_overload_is_counted_exactly(guest):
    """Two threads make more events than any reader could take: each is received once or counted."""
    count = 150000
    with Trace(guest, "storm", str(count), program=marked(guest)) as trace:
        cores = trace.cores()
        received, dropped = len(storm_records(cores)), sum(core.program.dropped for core in cores)
        fail_unless(received + dropped == 2 * count, f"{received} received and {dropped} dropped of {2 * count}")
        for thread in {record.thread for record in storm_records(cores)}:
            values = sorted((r for r in storm_records(cores) if r.thread == thread), key=lambda r: r.time)
            values = [record.fields["value"] for record in values]
            fail_unless(all(a < b for a, b in zip(values, values[1:])), "none twice, all in their order")
        _, warnings = trace.events()
        told = sum(int(n) for n in re.findall(r"discarded (\d+) events?", warnings))
        others = sum(core.dropped + core.posix.dropped for core in cores)
        fail_unless(told == dropped + others, f"CTF tells of {told}, of {dropped} and {others}", warnings)


# @verifies ATL-LLR-TOOL-1192~1
@system_test(matrix=EACH, libc=("musl",), cores=(1,), timeout_s=60)
def test_without_a_reader_the_newest_are_kept(guest):
    with Trace(guest, "storm", "20000", program=marked(guest), options=("--every", "60m")) as trace:
        core = trace.cores()[0]
        kept = [record.fields["value"] for record in core.program.records]
        fail_unless(len(kept) == SLOTS and core.program.dropped == 40000 - SLOTS, f"{len(kept)}, {core.program.dropped}")
        fail_unless(kept[-1] == 19999, "the last is the last")


# @verifies ATL-LLR-TOOL-1191~1
@system_test(matrix=EACH, libc=("musl",), cores=(2,), timeout_s=60)
def test_a_trace_longer_than_the_rings_is_whole(guest):
    """What the program noted before it wrote has been read before what it wrote is shown: so who answers each burst
    gets all of them, however busy the host is."""
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as place:
        folder, (kernel, posix) = pathlib.Path(place) / "trace", guest.parts("trace")
        words = [ROOT / "atoll", "trace", "--ring", guest.ring, "--cores", guest.cores, "--machine", guest.machine,
                 "--kernel", kernel, "--posix", posix, marked(guest), "bursts", BURST, "-o", folder, "--every", "60m"]
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        try:
            for number in range(BURSTS):
                fail_unless(process.stdout.readline() == b"burst\n", f"burst {number}")
                if number + 1 < BURSTS:
                    process.stdin.write(b"again\n")
                    process.stdin.flush()
            rest, errors = process.communicate(timeout=guest.timeout_s)
        finally:
            process.kill()
        fail_unless(process.returncode == 0 and rest == b"done\n", f"status {process.returncode}", errors.decode())
        cores = parse_rings((folder / "rings").read_bytes())
        values = [record.fields["value"] for record in storm_records(cores)]
        fail_unless(values == BURSTS * list(range(BURST)), f"{len(values)} of {BURSTS * BURST}, ring of {SLOTS}")
        fail_unless(sum(core.program.dropped for core in cores) == 0, "nothing is missing")


# @verifies ATL-LLR-TOOL-1193~1 @robust
@system_test(matrix=EACH, libc=("musl",), cores=(1,), timeout_s=60)
def test_a_program_that_writes_over_its_rings_harms_nobody_else(guest):
    with Trace(guest, "nonsense", "0", program=marked(guest)) as trace:
        core = trace.cores()[0]
        fail_unless(core.dropped == 0 and core.records[-1].name in ("gate_enter", "idle"), "the kernel's ring is whole")
        own = [(record.name, record.fields) for record in core.program.records]
        fail_unless(own[1:] == [("instant", {"name": "before", "value": 1})], f"what came before: {own}")
        fail_unless(own[0][0] == "marker" and core.program.dropped == 3, f"slots without sense are counted: {own}")
        trace.events()
        fail_unless("library OS that were dropped: 4,611,686,018,427" in trace.summary(), "what it claims is counted")


# @verifies ATL-LLR-POSIX-1193~1
@system_test(matrix=EACH, libc=("musl", "glibc"), cores=(1,), timeout_s=60)
def test_elsewhere_the_program_is_as_ever(guest):
    """In an image that does not trace: no rings, no file, and the events do nothing."""
    result = guest.run(marked(guest), "storm", "1000").expect(stdout=b"done\n", stderr=b"")
    fail_unless(result.rings == b"", "nothing is announced")
    guest.run(marked(guest), "all", "0").expect(stdout=b"", stderr=b"trace_marker: errno 2\n", status=1)


# @verifies ATL-LLR-POSIX-1193~1
@host_test
def test_on_linux_events_go_to_trace_marker(_):
    """The header is for C and C++; where the file may be opened, each event is one write as atrace's."""
    source = ROOT / "tests/system/programs/marked.c"
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        replaced = folder / "atoll"
        replaced.mkdir()
        for name in ("trace.h", "trace_abi.h"):
            text = (ROOT / "posix/include/atoll" / name).read_text()
            (replaced / name).write_text(text.replace("/sys/kernel/tracing/trace_marker", f"{folder}/marker"))
        (folder / "marker").write_bytes(b"")
        subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-I", folder, "-pthread", source,
                        "-o", folder / "marked"], check=True, timeout=60)
        (folder / "events.cpp").write_text(
            '#include <atoll/trace.h>\nint main() { ATOLL_TRACE_BEGIN("a"); ATOLL_TRACE_COUNTER("c", 4);\n'
            'ATOLL_TRACE_INSTANT("i", -1); ATOLL_TRACE_END(); }\n')
        subprocess.run(["g++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-std=c++20", "-I", folder, folder / "events.cpp", "-o",
                        folder / "events"], check=True, timeout=60)
        subprocess.run([folder / "events"], check=True, timeout=60)
        found = (folder / "marker").read_bytes()
        fail_unless(re.fullmatch(rb"B\|(\d+)\|aC\|\1\|c\|4I\|\1\|i -1E\|\1", found), f"written: {found}")
        (folder / "marker").unlink()
        done = subprocess.run([folder / "events"], timeout=60)
        fail_unless(done.returncode == 0, "without the file nothing happens")


# @verifies ATL-LLR-POSIX-1192~1
@host_test
def test_an_event_is_few_instructions(_):
    """What lies between the beginning and the first return of a function that notes an event: no call, no loop."""
    with tempfile.TemporaryDirectory() as place:
        source, target = pathlib.Path(place) / "event.c", pathlib.Path(place) / "event.o"
        source.write_text('#include <atoll/trace.h>\nvoid event(long v) { ATOLL_TRACE_COUNTER("x", v); }\n')
        subprocess.run(["gcc", "-O2", "-fno-pie", HEADERS, "-c", source, "-o", target], check=True, timeout=60)
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=event", target], check=True,
                              capture_output=True, text=True, timeout=60).stdout
        lines = re.findall(r"^ +[0-9a-f]+:\t(\S+)", text, re.M)
        body = lines[:lines.index("ret") + 1]
        fail_unless(len(body) <= 32 and "call" not in body and "rdtscp" in body, f"{len(body)} instructions", text)
