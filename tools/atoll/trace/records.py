# SPDX-License-Identifier: Apache-2.0
"""Trace rings as the tool keeps them: pieces, each what was read of a ring at one time, little-endian:

    magic (8 bytes), core, number of cores (4 each), records made since boot, records that follow (8 each)
    records, oldest first

A core's ring may have several pieces; what lies between two was overwritten before it was read. The kernel's
records are nanoseconds since boot (8), event, a (4 each), b, c (8 each); those of posix/ and of the program
are the slots of posix/include/atoll/trace_abi.h, whose names and clock are a piece of their own. What events
mean is in debug/trace.toml. The guest may be hostile: everything is checked."""
import dataclasses
import functools
import re
import struct
import tomllib

from atoll.errors import ToolError
from atoll.gate import gate_calls
from atoll.machine import CORES_MAX
from atoll.paths import ROOT

HEADER = struct.Struct("<8sIIQQ")
RECORD = struct.Struct("<QIIQQ")
RING_COUNT = struct.Struct("<Q")
MAGIC, MAGIC_POSIX, MAGIC_PROGRAM, MAGIC_NAMES = b"ALTRACE1", b"ALTRACEX", b"ALTRACEP", b"ALTRACEN"
KERNEL, POSIX, PROGRAM = "kernel", "posix", "program"
RECORDS_MAX = 1 << 20               # of one piece
# posix/include/atoll/trace_abi.h
SLOT = struct.Struct("<QQII")       # sequence, tsc, event, thread; then fields and text
SLOT_BYTES, NAME_BYTES, NAMES_MAX = 128, 64, 1024
NAME_LENGTH = struct.Struct("<I")
CLOCK = struct.Struct("<QQ48x")     # the first row of names: tsc_base, tsc_multiplier
TIME_MAX = 1 << 63


@dataclasses.dataclass(frozen=True)
class Event:
    number: int
    name: str
    fields: tuple       # names of the fields; "" is unused
    hexadecimal: frozenset
    ring: str = KERNEL
    signed: frozenset = frozenset()
    names: frozenset = frozenset()
    string: str | None = None       # the name of its text


@dataclasses.dataclass(frozen=True)
class Record:
    time: int           # nanoseconds since boot
    name: str
    fields: dict        # {name of the field: number, or text}
    thread: int | None = None   # Linux thread id, of posix/'s and the program's events


@dataclasses.dataclass
class Ring:
    """gaps: [(index of the record before which something is missing, how many records)]"""
    records: list = dataclasses.field(default_factory=list)
    gaps: list = dataclasses.field(default_factory=list)

    @property
    def dropped(self):
        return sum(lost for _, lost in self.gaps)

    def lose(self, count):
        if count > 0:
            self.gaps.append((len(self.records), count))


@dataclasses.dataclass
class Core(Ring):
    """Its kernel's ring, and those of posix/ and the program."""
    number: int = 0
    posix: Ring = dataclasses.field(default_factory=Ring)
    program: Ring = dataclasses.field(default_factory=Ring)

    def rings(self):
        return ((KERNEL, self), (POSIX, self.posix), (PROGRAM, self.program))


@functools.cache
def events():
    """{number: Event}."""
    rows = tomllib.loads((ROOT / "debug/trace.toml").read_text())["event"]
    return {row["number"]: Event(row["number"], row["name"], tuple(row["fields"]),
                                 frozenset(row.get("hexadecimal", ())), row.get("ring", KERNEL),
                                 frozenset(row.get("signed", ())), frozenset(row.get("names", ())),
                                 row.get("string"))
            for row in rows}


@functools.cache
def gate_names():
    """{number: name of a gate call}."""
    return {row["number"]: name for name, row in gate_calls().items()}


@functools.cache
def call_names():
    """{number: name of a Linux call}."""
    return {row["number"]: row["name"]
            for row in tomllib.loads((ROOT / "posix/syscalls.toml").read_text())["calls"]}


@functools.cache
def message_kinds():
    """{number: name}, from the list in percpu/channel.h."""
    text = (ROOT / "percpu/include/percpu/channel.h").read_text()
    body = re.search(r"enum percpu_message_kind\s*\{(.*?)\}", text, re.S)[1]
    names = re.findall(r"PERCPU_MESSAGE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
    return {number: name.lower() for number, name in enumerate(names)}


def describe(record):
    """A record's name with what tells it apart, for people."""
    if record.name.startswith("gate_"):
        return gate_names().get(record.fields["call"], str(record.fields["call"]))
    if record.name == "interrupt":
        return f"interrupt {record.fields['vector']}"
    if record.name == "fault":
        return f"fault {record.fields['vector']}"
    if record.name in ("send", "receive"):
        return message_kinds().get(record.fields["kind"], str(record.fields["kind"]))
    if record.name in ("syscall_enter", "syscall_leave", "block"):
        return call_names().get(record.fields["call"], f"call {record.fields['call']}")
    return record.name


def piece(magic, core, core_count, made, records):
    """The bytes of a piece; made: records since boot, these included."""
    size = {MAGIC: RECORD.size, MAGIC_NAMES: NAME_BYTES}.get(magic, SLOT_BYTES)
    return HEADER.pack(magic, core, core_count, made, len(records) // size) + records


def piece_of_memory(core, core_count, data):
    """The piece of a ring of the kernel, from the bytes of its struct trace_ring (percpu/trace.h)."""
    records, odd = divmod(len(data) - RING_COUNT.size, RECORD.size)
    if records <= 0 or odd:
        raise _broken(f"this is not the ring of core {core}")
    made, = RING_COUNT.unpack_from(data)
    kept = min(made, records)
    oldest = RING_COUNT.size + (made - kept) % records * RECORD.size
    ordered = data[oldest:] + data[RING_COUNT.size:oldest]
    return piece(MAGIC, core, core_count, made, ordered[:kept * RECORD.size])


# @impl ATL-LLR-TOOL-0600~1 ATL-LLR-TOOL-1193~1
def parse_rings(data):
    """[Core] of what was read of a machine."""
    pieces, core_count = _pieces(data)
    cores = [Core(number=number) for number in range(core_count)]
    seen, made_before = set(), {}
    slots = _Slots(pieces)
    for magic, number, made, kept, body in pieces:
        ring = {MAGIC: cores[number], MAGIC_POSIX: cores[number].posix,
                MAGIC_PROGRAM: cores[number].program}.get(magic)
        if ring is None:
            continue
        missing = made - kept - made_before.get((magic, number), 0)
        if missing < 0:
            raise _broken(f"pieces of core {number}'s ring overlap")
        made_before[magic, number] = made
        ring.lose(missing)
        if magic == MAGIC:
            seen.add(number)
            ring.records += [_record(*row) for row in RECORD.iter_unpack(body)]
        else:
            slots.add(ring, POSIX if magic == MAGIC_POSIX else PROGRAM, body)
    if len(seen) != core_count or not cores:
        raise _broken("not all rings are there")
    for core in cores:
        if any(later.time < earlier.time for earlier, later in zip(core.records, core.records[1:])):
            raise _broken(f"the records of core {core.number} are not in their order")
        for ring in (core.posix, core.program):
            ring.records.sort(key=lambda record: record.time)  # a thread may lose its core before it has a slot
    return cores


def _pieces(data):
    """[(magic, core, made, kept, bytes)], number of cores"""
    found, position, core_count = [], 0, 0
    while position < len(data):
        if len(data) - position < HEADER.size:
            raise _broken("the header of a ring is cut off")
        magic, number, count, made, kept = HEADER.unpack_from(data, position)
        core_count = core_count or count
        if (magic not in (MAGIC, MAGIC_POSIX, MAGIC_PROGRAM, MAGIC_NAMES) or count != core_count
                or not number < count <= CORES_MAX):
            raise _broken(f"the header at {position} is not one of a ring")
        position += HEADER.size
        size = {MAGIC: RECORD.size, MAGIC_NAMES: NAME_BYTES}.get(magic, SLOT_BYTES)
        if kept > min(made, RECORDS_MAX) or len(data) - position < kept * size:
            raise _broken(f"the ring of core {number} is cut off")
        found.append((magic, number, made, kept, data[position:position + kept * size]))
        position += kept * size
    return found, core_count


def _record(time, number, *values):
    event = events().get(number)
    if event is None or event.ring != KERNEL:
        raise _broken(f"there is no event {number}")
    return Record(time, event.name, {name: value for name, value in zip(event.fields, values) if name})


def plain(data):
    """Bytes of the guest as one line of text."""
    text = bytes(data).partition(b"\0")[0].decode("utf-8", "replace").rstrip("\n")
    return "".join(c if c.isprintable() else "?" for c in text)


class _Slots:
    """What slots say. The program can write them as it likes: one that makes no sense is counted as missing."""

    def __init__(self, pieces):
        table = next((body for magic, *_, body in pieces if magic == MAGIC_NAMES), b"")
        self._base, self._multiplier = CLOCK.unpack_from(table) if table else (0, 0)
        self._names = [self._name(table[at:at + NAME_BYTES]) for at in range(NAME_BYTES, len(table), NAME_BYTES)]

    @staticmethod
    def _name(row):
        length, = NAME_LENGTH.unpack_from(row)
        return plain(row[NAME_LENGTH.size:NAME_LENGTH.size + length])

    def add(self, ring, source, body):
        for at in range(0, len(body), SLOT_BYTES):
            record = self._record(source, body[at:at + SLOT_BYTES])
            if record is None:
                ring.lose(1)
            else:
                ring.records.append(record)

    def _record(self, source, slot):
        _, tsc, number, thread = SLOT.unpack_from(slot)
        event = events().get(number)
        time = (tsc - self._base) * self._multiplier >> 32 if tsc > self._base else 0
        if event is None or event.ring != source or time >= TIME_MAX:
            return None
        fields, at = {}, SLOT.size
        for name in event.fields:
            value = int.from_bytes(slot[at:at + 8], "little", signed=name in event.signed)
            fields[name] = self._name_of(value) if name in event.names else value
            at += 8
        if event.string:
            length, = NAME_LENGTH.unpack_from(slot, at)
            fields[event.string] = plain(slot[at + NAME_LENGTH.size:][:length])
        return Record(time, event.name, fields, thread)

    def _name_of(self, index):
        return self._names[index - 1] if 0 < index <= len(self._names) else f"name {index}"


def _broken(what):
    return ToolError(f"the trace is not whole: {what}", "trace the program again")
