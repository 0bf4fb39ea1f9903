# SPDX-License-Identifier: Apache-2.0
"""./atoll trace without a machine: what is refused, and what rings that are made here are told to say."""
import json
import pathlib
import struct
import subprocess
import tempfile
import unittest

import support  # noqa: F401  (sets the path)
from atoll.errors import ToolError
from atoll.trace.chrome import chrome_json
from atoll.trace.command import duration
from atoll.trace.ctf import metadata
from atoll.trace.records import events, message_kinds, parse_rings
from atoll.trace.summary import percentile, summary, time_text
from atoll.trace.timeline import IDLE, KERNEL, RUN, messages, queue_waits, spans

ROOT = pathlib.Path(__file__).resolve().parents[2]
NUMBERS = {event.name: event.number for event in events().values()}


def ring(core, count, records, dropped=0):
    """What a machine sends for one core; records: (time, event's name, a, b, c)."""
    body = b"".join(struct.pack("<QIIQQ", time, NUMBERS.get(name, name), *(values + [0, 0, 0])[:3])
                    for time, name, *values in records)
    return struct.pack("<8sIIQQ", b"ALTRACE1", core, count, len(records) + dropped, len(records)) + body


PARK, UNPARK = 4, 5
ONE_CORE = [(100, "switch", 7), (110, "resume", 7, 0x1000),
            (300, "gate_enter", PARK, 0, 0), (320, "park", 7, 9), (330, "gate_leave", PARK, 0),
            (340, "idle", 0, 9),
            (700, "interrupt", 64), (710, "ready", 7, 1), (760, "resume", 7, 0x1000),
            (900, "gate_enter", UNPARK, 1, 0), (950, "gate_leave", UNPARK, 0),
            (1000, "gate_enter", UNPARK, 1, 0), (1010, "gate_leave", UNPARK, 0)]


class RecordsTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0600~1
    def test_rings_are_read(self):
        first, second = parse_rings(ring(0, 2, ONE_CORE, dropped=5) + ring(1, 2, []))
        self.assertEqual((first.number, first.dropped, len(first.records)), (0, 5, len(ONE_CORE)))
        self.assertEqual((first.records[3].time, first.records[3].name), (320, "park"))
        self.assertEqual(first.records[3].fields, {"thread": 7, "until_ns": 9})
        self.assertEqual((second.number, second.dropped, second.records), (1, 0, []))

    # @verifies ATL-LLR-TOOL-0600~1 @robust
    def test_what_is_not_whole_is_refused(self):
        good = ring(0, 2, ONE_CORE) + ring(1, 2, [(5, "idle")])
        for cut in range(len(good)):
            with self.assertRaisesRegex(ToolError, "the trace is not whole"):
                parse_rings(good[:cut])
        for data in (ring(1, 2, []), ring(0, 2, []), ring(0, 1, []) * 2, ring(0, 65, []), b"x" * 32,
                     ring(0, 1, [(1, 999)]), ring(0, 1, [(1, 0)]),
                     ring(0, 1, [(2, "idle"), (1, "idle")]), good + b"x"):
            with self.assertRaisesRegex(ToolError, "the trace is not whole"):
                parse_rings(data)
        huge = struct.pack("<8sIIQQ", b"ALTRACE1", 0, 1, 1 << 63, 1 << 62)
        with self.assertRaisesRegex(ToolError, "cut off"):
            parse_rings(huge)

    def test_messages_have_the_kernel_s_names(self):
        self.assertEqual((message_kinds()[1], message_kinds()[13]), ("thread_create", "cell_end"))


class TimelineTest(unittest.TestCase):
    def test_a_core_runs_works_and_idles(self):
        core, = parse_rings(ring(0, 1, ONE_CORE))
        self.assertEqual([(s.kind, s.start, s.end, s.thread, s.title) for s in spans(core)],
                         [(KERNEL, 100, 110, None, KERNEL), (RUN, 110, 300, 7, RUN),
                          (KERNEL, 300, 340, None, "park"), (IDLE, 340, 700, None, IDLE),
                          (KERNEL, 700, 760, None, "interrupt 64"), (RUN, 760, 900, 7, RUN),
                          (KERNEL, 900, 950, None, "unpark"), (RUN, 950, 1000, 7, RUN),
                          (KERNEL, 1000, 1010, None, "unpark")])
        self.assertEqual(queue_waits(core), [50])

    def test_a_call_that_is_repeated_does_not_leave_the_kernel(self):
        core, = parse_rings(ring(0, 1, [
            (10, "gate_enter", 6), (20, "send", 1, 0, 5), (30, "gate_leave", 6), (31, "idle"),
            (50, "interrupt", 65), (55, "switch", 2), (60, "gate_enter", 6), (70, "gate_leave", 6),
            (75, "resume", 2)]))
        self.assertEqual([(s.kind, s.start, s.end) for s in spans(core)],
                         [(KERNEL, 10, 31), (IDLE, 31, 50), (KERNEL, 50, 75)])

    def test_messages_are_joined_by_their_causal_id(self):
        cores = parse_rings(ring(0, 2, [(10, "send", 1, 7, 1), (20, "send", 1, 8, 1), (90, "receive", 1, 7, 1)])
                            + ring(1, 2, [(30, "receive", 0, 7, 1), (40, "send", 0, 7, 1),
                                          (50, "receive", 0, 6, 1)]))
        self.assertEqual([(s.time, a, r.time, b) for s, a, r, b in messages(cores)],
                         [(40, 1, 90, 0), (10, 0, 30, 1)])


class OutputTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0603~1
    def test_summary(self):
        text = summary(parse_rings(ring(0, 1, ONE_CORE, dropped=1234)))
        self.assertEqual(text.splitlines(), [
            "core 0: program 41.8 %, kernel 18.7 %, idle 39.6 %, of 910 ns; 13 records, 1,234 older ones "
            "dropped",
            "wait in a run queue: 1: 50 % 50 ns, 90 % 50 ns, 99 % 50 ns, longest 50 ns",
            "gate calls: 3",
            "  unpark                 2  half within 10 ns, longest 50 ns",
            "  park                   1  half within 30 ns, longest 30 ns",
            "message between cores: none",
            "longest time in the kernel, interrupts off: 60 ns, core 0, interrupt 64"])
        self.assertIn("gate calls: none", summary(parse_rings(ring(0, 1, []))))

    def test_percentiles_and_times(self):
        values = list(range(1, 101))
        self.assertEqual([percentile(values, p) for p in (50, 90, 99, 100)], [50, 90, 99, 100])
        self.assertEqual(percentile([7], 50), 7)
        self.assertEqual([time_text(n) for n in (999, 1500, 2_000_000, 3_250_000_000)],
                         ["999 ns", "1.5 us", "2 ms", "3.25 s"])

    # @verifies ATL-LLR-TOOL-0601~1
    def test_metadata_names_every_event_and_quotes_the_program(self):
        text = metadata('prog "a\\b" \n ü')
        self.assertIn('program = "prog \\"a\\\\b\\" ? ?";', text)
        for name in NUMBERS:
            self.assertIn(f'name = "{name}";', text)

    # @verifies ATL-LLR-TOOL-0602~1
    def test_json_of_empty_rings(self):
        rows = json.loads(chrome_json(parse_rings(ring(0, 1, []))))["traceEvents"]
        self.assertEqual({row["ph"] for row in rows}, {"M"})


class CommandTest(unittest.TestCase):
    def _refused(self, status, message, *words):
        done = subprocess.run([str(ROOT / "atoll"), "trace", *words], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(message, done.stderr)

    # @verifies ATL-LLR-TOOL-0604~1
    def test_wrong_words_are_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            new = str(pathlib.Path(folder) / "new")
            self._refused(2, "which program?", "-o", new)
            self._refused(2, "where to? add -o DIR", "/bin/true")
            self._refused(2, "give a time as 5s", "--for", "soon", "-o", new, "/bin/true")
            self._refused(2, "give a time as 5s", "/bin/true", "-o", new, "--for", "0s")
            self._refused(2, "nothing is run", "--summary", folder, "-o", new)
            self._refused(125, "a kernel that traces is a build of its own", "--gdb", "1234", "/bin/true",
                          "-o", new)
            self._refused(125, "a folder that is not there yet", "/bin/true", "-o", folder)
            self._refused(125, "No such file", "--summary", new)
            self._refused(125, "not whole", "--summary", self._folder_with_rings(folder, b"x"))
            self.assertFalse(pathlib.Path(new).exists(), "nothing was left")

    # @verifies ATL-LLR-TOOL-0604~1
    def test_a_program_that_cannot_be_run_leaves_no_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            new = str(pathlib.Path(folder) / "new")
            self._refused(125, "not an ELF program", __file__, "-o", new)
            self.assertFalse(pathlib.Path(new).exists())

    @staticmethod
    def _folder_with_rings(folder, data):
        (pathlib.Path(folder) / "rings").write_bytes(data)
        return folder

    def test_durations(self):
        self.assertEqual([duration(text) for text in ("5s", "500ms", "1.5", "2m")], [5, 0.5, 1.5, 120])
