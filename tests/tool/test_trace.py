# SPDX-License-Identifier: Apache-2.0
"""./atoll trace without a machine: what is refused, and what rings that are made here are told to say."""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import support  # noqa: F401  (sets the path)
from atoll.errors import ToolError
from atoll.trace.chrome import chrome_json
from atoll.trace.command import duration
from atoll.trace.ctf import metadata
from atoll.trace.records import KERNEL as KERNEL_RING
from atoll.trace.memory import Reader, Space, _Ring, _SlotRing
from atoll.trace.program import CALL, SPAN, program_slices
from atoll.trace.records import MAGIC, MAGIC_NAMES, MAGIC_POSIX, MAGIC_PROGRAM, events, message_kinds, parse_rings, piece
from atoll.trace.summary import percentile, summary, time_text
from atoll.trace.timeline import IDLE, KERNEL, RUN, messages, queue_waits, spans

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/system"))

from chrome_rules import wrong_in  # noqa: E402

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
        for data in (ring(1, 2, []), ring(0, 2, []), ring(0, 1, [(1, "idle")]) * 2, ring(0, 65, []), b"x" * 32,
                     ring(0, 1, [(1, 999)]), ring(0, 1, [(1, "begin")]), ring(0, 1, [(1, 0)]),
                     ring(0, 1, [(2, "idle"), (1, "idle")]), good + b"x"):
            with self.assertRaisesRegex(ToolError, "the trace is not whole"):
                parse_rings(data)
        huge = struct.pack("<8sIIQQ", b"ALTRACE1", 0, 1, 1 << 63, 1 << 62)
        with self.assertRaisesRegex(ToolError, "cut off"):
            parse_rings(huge)

    def test_messages_have_the_kernel_s_names(self):
        self.assertEqual((message_kinds()[1], message_kinds()[7]), ("call", "fault"))


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


class FakeMemory:
    """Physical memory in the hands of a test: what the machine does between two looks is what it does here."""

    def __init__(self, size):
        self.bytes = bytearray(size)
        self.meanwhile = []     # done one by one behind each read of a counter

    def read(self, address, count):
        data = bytes(self.bytes[address:address + count]) if address + count <= len(self.bytes) else None
        if count == 8 and address == 0 and self.meanwhile:
            self.meanwhile.pop(0)()
        return data

    def write(self, address, data):
        self.bytes[address:address + len(data)] = data

    def count(self, value):
        self.write(0, struct.pack("<Q", value))


class RingTest(unittest.TestCase):
    """One ring of 4 slots of 16 bytes: sequence or number, and a value."""
    SLOTS = 4

    def _ring(self, kind):
        self.memory = FakeMemory(8 + 16 * self.SLOTS)
        return kind(self.memory.read, b"x", 0, 0, 8, self.SLOTS, 16)

    def _put(self, first, end):
        for position in range(first, end):
            self.memory.write(8 + position % self.SLOTS * 16, struct.pack("<QQ", position + 1, position))
        self.memory.count(end)

    @staticmethod
    def _values(pieces):
        return [(made, [value for _, value in struct.iter_unpack("<QQ", data)]) for made, data in pieces]

    # @verifies ATL-LLR-TOOL-1191~1
    def test_each_record_is_taken_once(self):
        for kind in (_Ring, _SlotRing):
            ring = self._ring(kind)
            self.assertEqual(ring.poll(False), [])
            for first in range(0, 21, 3):
                self._put(first, first + 3)
                self.assertEqual(self._values(ring.poll(False)), [(first + 3, [first, first + 1, first + 2])])
                self.assertEqual(ring.poll(False), [])
            self.assertEqual(self._values(ring.poll(True)), [(21, [])])

    # @verifies ATL-LLR-TOOL-1192~1
    def test_what_was_overwritten_is_not_taken(self):
        for kind, kept in ((_Ring, [7, 8, 9]), (_SlotRing, [6, 7, 8, 9])):
            ring = self._ring(kind)
            self._put(0, 10)
            self.assertEqual(self._values(ring.poll(False)), [(10, kept)])
            self.assertEqual(self._values(self._ring(kind).poll(True)), [(0, [])])

    # @verifies ATL-LLR-TOOL-1192~1
    def test_what_is_overwritten_while_it_is_read_is_not_taken(self):
        for kind, kept in ((_Ring, []), (_SlotRing, [3])):
            ring = self._ring(kind)
            self._put(0, 4)
            self.memory.meanwhile = [lambda: self.memory.count(7)]  # three more begin behind the first look
            self.assertEqual(self._values(ring.poll(False)), [(4, kept)] if kept else [])
            self._put(4, 7)
            self.assertEqual(self._values(ring.poll(True))[0], (7, [4, 5, 6]))

    # @verifies ATL-LLR-TOOL-1192~1
    def test_a_slot_that_is_not_filled_is_awaited_and_at_last_counted(self):
        ring = self._ring(_SlotRing)
        self._put(0, 3)
        self.memory.write(8 + 16, bytes(8))  # position 1
        self.assertEqual(self._values(ring.poll(False)), [(1, [0])])
        self.memory.write(8 + 16, struct.pack("<Q", 2))
        self.assertEqual(self._values(ring.poll(False)), [(3, [1, 2])])
        self._put(3, 6)
        self.memory.write(8, bytes(8))  # position 4
        self.assertEqual(self._values(ring.poll(True)), [(4, [3]), (6, [5]), (6, [])])

    # @verifies ATL-LLR-TOOL-1193~1 @robust
    def test_a_counter_that_goes_back_ends_the_ring(self):
        ring = self._ring(_SlotRing)
        self._put(0, 3)
        self.assertEqual(len(ring.poll(False)), 1)
        self.memory.count(2)
        self.assertEqual(ring.poll(False), [])
        self._put(3, 4)
        self.assertEqual((ring.poll(True), ring.is_broken), ([], True))


class SpaceTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1190~1 @robust
    def test_page_tables_are_walked_as_far_as_there_is_memory(self):
        memory = FakeMemory(0x400000)
        memory.word = lambda address: int.from_bytes(memory.read(address, 8) or b"", "little")
        for table, index, entry in ((0x1000, 3, 0x2000 | 7), (0x2000, 0, 0x3000 | 7), (0x3000, 0, 0x4000 | 7),
                                    (0x4000, 5, 0x5000 | 1 << 63 | 5), (0x4000, 6, 0x7000 | 1), (0x4000, 7, 0x8000),
                                    (0x4000, 8, 0x7fff000 | 1), (0x3000, 1, 0x200000 | 0x80 | 1)):
            memory.write(table + index * 8, struct.pack("<Q", entry))
        memory.write(0x5ffc, b"abcd")
        memory.write(0x7000, b"efgh")
        memory.write(0x234567, b"large")
        space, base = Space(memory, 0x1000), 3 << 39
        self.assertEqual(space.read(base + 0x5ffc, 8), b"abcdefgh")
        self.assertEqual(space.read(base + 0x234567, 5), b"large")
        for address in (base + 0x6ffe, base + 0x7000, base + 0x8000, base + (1 << 30), 0):
            self.assertIsNone(space.read(address, 4), hex(address))

    # @verifies ATL-LLR-TOOL-1193~1 @robust
    def test_what_a_machine_announces_is_judged(self):
        memory = FakeMemory(1 << 16)
        memory.word = lambda address: int.from_bytes(memory.read(address, 8) or b"", "little")
        good = struct.pack("<8sIIQQQ", b"ALTRACE2", 1, 4, 0x1000, 0, 0x2000)
        for cut in range(len(good)):
            reader = Reader(memory, lambda _: 0, 60)
            reader.feed(good[:cut])
            self.assertEqual(reader.finish(), b"")
        for wrong in (b"x" + good[1:], good[:8] + struct.pack("<II", 65, 4) + good[16:],
                      good[:8] + struct.pack("<II", 1, 1 << 21) + good[16:]):
            reader = Reader(memory, lambda _: 0, 60)
            reader.feed(wrong)
            self.assertEqual(reader.finish(), b"")
        reader = Reader(memory, lambda _: 0, 60)
        reader.feed(good)
        core, = parse_rings(reader.finish())
        self.assertEqual((core.records, core.dropped), ([], 0))
        reader = Reader(memory, lambda _: 0, 60)
        reader.feed(good[:-8] + struct.pack("<Q", 1 << 40))
        with self.assertRaisesRegex(ToolError, "make no sense"):
            reader.finish()


def slot(name, thread, time, *fields, text=b""):
    body = b"".join(struct.pack("<q", field) for field in fields) + text
    return struct.pack("<QQII", 1, time, NUMBERS[name], thread) + body.ljust(104, b"\0")


def text(data):
    return struct.pack("<I", len(data)) + data


def program(posix=(), own=(), names=()):
    """What one core's program and posix/ noted; times are as they are."""
    rows = struct.pack("<QQ48x", 0, 1 << 32) + b"".join(text(name).ljust(64, b"\0") for name in names)
    kernel = piece(MAGIC, 0, 1, 0, b"")
    return kernel + piece(MAGIC_NAMES, 0, 1, len(rows) // 64, rows) + b"".join(
        piece(magic, 0, 1, len(slots), b"".join(slots)) for magic, slots in ((MAGIC_POSIX, posix), (MAGIC_PROGRAM, own)))


class ProgramTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1193~1 @robust
    def test_slots_without_sense_are_counted(self):
        good = slot("counter", 1, 20, 1, -5)
        core, = parse_rings(program(own=[good, slot("syscall_enter", 1, 21, 0, 0, 0, 0), slot("switch", 1, 22),
                                         good[:16] + struct.pack("<I", 999) + good[20:],
                                         good[:8] + struct.pack("<Q", (1 << 64) - 1) + good[16:], good],
                                    names=[b"depth\nx"]))
        self.assertEqual([record.fields for record in core.program.records], 2 * [{"name": "depth?x", "value": -5}])
        self.assertEqual((core.program.dropped, core.program.gaps), (4, [(1, 1)] * 4))
        core, = parse_rings(program(own=[slot("marker", 1, 9, text=struct.pack("<I", 1 << 31) + b"y" * 100),
                                         slot("instant", 1, 10, 77, 0)]))
        self.assertEqual([record.fields for record in core.program.records],
                         [{"text": "y" * 100}, {"name": "name 77", "value": 0}])

    # @verifies ATL-LLR-TOOL-1195~1
    def test_slices_lie_in_each_other_whatever_is_missing(self):
        read, close = 0, 3
        cores = parse_rings(program(
            posix=[slot("syscall_leave", 1, 5, read, 0), slot("syscall_enter", 1, 20, read, 9, 0, 0),
                   slot("syscall_enter", 1, 30, close, 0, 0, 0), slot("syscall_leave", 1, 35, close, -9),
                   slot("thread", 1, 1, 4, text=text(b"main"))],
            own=[slot("end", 1, 2, 0), slot("begin", 1, 10, 1), slot("marker", 1, 12, text=text(b"B|1|in|ner")),
                 slot("end", 1, 40, 0), slot("begin", 2, 15, 2), slot("marker", 2, 50, text=text(b"C|1|n|x")),
                 slot("marker", 3, 50, text=text(b"C|1|n|--5"))],
            names=[b"outer", b"other"]))
        slices, points = program_slices(cores)
        self.assertEqual([(s.kind, s.thread, s.name, s.start, s.end) for s in slices],
                         [(CALL, 1, "close", 30, 35), (CALL, 1, "read", 20, 40), (SPAN, 1, "in|ner", 12, 40),
                          (SPAN, 1, "outer", 10, 50), (SPAN, 2, "other", 15, 50)])
        self.assertEqual([(p.name, p.is_counter) for p in points], [("C|1|n|x", False), ("C|1|n|--5", False)])
        self.assertIsNone(wrong_in(chrome_json(cores)))

    # @verifies ATL-LLR-TOOL-0600~1
    def test_pieces_of_a_ring_are_joined_and_gaps_counted(self):
        def part(made, times):
            return piece(MAGIC, 0, 1, made, b"".join(struct.pack("<QIIQQ", t, 2, 0, 0, 0) for t in times))
        core, = parse_rings(part(2, [1, 2]) + part(7, [3, 4]) + part(9, []))
        self.assertEqual(([r.time for r in core.records], core.gaps), ([1, 2, 3, 4], [(2, 3), (4, 2)]))
        with self.assertRaisesRegex(ToolError, "overlap"):
            parse_rings(part(2, [1, 2]) + part(3, [3, 4]))


class OutputTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0603~1
    def test_summary(self):
        text = summary(parse_rings(ring(0, 1, ONE_CORE, dropped=1234)))
        self.assertEqual(text.splitlines(), [
            "core 0: program 41.8 %, kernel 18.7 %, idle 39.6 %, of 910 ns; 13 records, 1,234 dropped",
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
        for event in events().values():
            name = event.name if event.ring == KERNEL_RING else f"{event.ring}:{event.name}"
            self.assertTrue(f'name = "{name}";' in text, name)

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

    # @verifies ATL-LLR-TOOL-1198~1 @robust
    def test_saved_rings(self):
        def ring_of(made):
            rows = [struct.pack("<QIIQQ", number, 2, 0, number, 0) for number in range(max(0, made - 4), made)]
            slots = {int.from_bytes(row[:8], "little") % 4: row for row in rows}
            return struct.pack("<Q", made) + b"".join(slots.get(i, bytes(32)) for i in range(4))
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            new, core0, core1 = str(place / "new"), place / "core0.ring", place / "core1.ring"
            self._refused(2, "--saved needs -o DIR", "--saved", folder)
            self._refused(125, "no core0.ring", "--saved", folder, "-o", new)
            core0.write_bytes(ring_of(7))
            for bad in (b"x" * 100, ring_of(9)[:-1], b""):
                core1.write_bytes(bad)
                self._refused(125, "not the ring of core 1", "--saved", folder, "-o", new)
            self.assertFalse((place / "new").exists(), "nothing was left")
            core1.write_bytes(ring_of(3))
            self._refused(0, "7 records of 2 cores", "--saved", folder, "-o", new)
            first, second = parse_rings((place / "new/rings").read_bytes())
            self.assertEqual([[r.time for r in c.records] for c in (first, second)], [[3, 4, 5, 6], [0, 1, 2]])
            self.assertEqual((first.dropped, second.dropped), (3, 0))

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
