# SPDX-License-Identifier: Apache-2.0
"""The system calls that posix/ of a debug image notes, taken over the debug line (debug/calls.c,
debug/include/debug/calls.h). The guest may be hostile: whatever does not fit together is left out."""
import dataclasses
import secrets
import struct

from atoll.errors import ToolError

SLOT_BYTES, NUMBERS, SELECT_BITS = 160, 512, 32
RECORD_SLOTS_MAX = 7
ANSWER_SLOTS_MAX = 12  # that fit into DEBUG_DATA_BYTES
ASKS_MAX = 32          # of one core before the next one's turn
SLOTS_AT = 83  # in a record's first slot: how many there are
ENTER, LEAVE, SIGNAL = 1, 2, 3
ANSWER = struct.Struct("<4Q")
SEQUENCE = struct.Struct("<Q")
HEAD = struct.Struct("<QQq6QIiHBB4x16s")
ITEM = struct.Struct("<BBH")
OPEN = struct.Struct("<7QIi16s")
ENDED = 1 << 63


@dataclasses.dataclass(frozen=True)
class Record:
    """items: {(argument from 0 on, part): bytes that it points to}."""
    core: int
    time_ns: int
    number: int
    result: int
    arguments: tuple
    session: int
    thread: int
    kind: int
    name: str
    items: dict


def _text(data):
    text = data.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def _items(data):
    found, at = {}, 0
    while at + ITEM.size <= len(data):
        argument, part, size = ITEM.unpack_from(data, at)
        at += ITEM.size
        if at + size > len(data):
            break
        found[argument, part] = data[at:at + size]
        at += size
    return found


def record_of(core, content):
    """Of a record's slots, without their sequences; None: it makes no sense."""
    time_ns, number, result, *rest = HEAD.unpack_from(content)
    arguments, (session, thread, size, kind, _, name) = tuple(rest[:6]), rest[6:]
    if kind not in (ENTER, LEAVE, SIGNAL) or HEAD.size + size > len(content):
        return None
    return Record(core, time_ns, number, result, arguments, session, thread, kind, _text(name),
                  _items(content[HEAD.size:HEAD.size + size]))


# @impl ATL-LLR-TOOL-1000~1
class Ring:
    """One core's calls."""

    def __init__(self, line, core):
        self._line, self.core = line, core
        self._position = 0
        self._session = 0
        self._content = b""  # of a record whose last slots have not come
        self.lost = self.now_ns = self.ended = 0

    def begin(self, session):
        if self._line.ask(self.core, "CALLS_BEGIN", session) is None:
            raise ToolError(f"core {self.core} does not say what is called there",
                            "is it a debug image of this version whose program has begun?")
        self._session = session
        self.take()

    def select(self, numbers):
        for part in range(NUMBERS // SELECT_BITS):
            mask = sum(1 << bit for bit in range(SELECT_BITS) if part * SELECT_BITS + bit in numbers)
            self._line.ask(self.core, "CALLS_SELECT", part << SELECT_BITS | mask)

    def end(self):
        self._line.ask(self.core, "CALLS_BEGIN", 0)

    def open_calls(self):
        """Records of calls in which threads wait now: without what they point to."""
        found, start = [], 0
        while data := self._line.ask(self.core, "CALLS_OPEN", start, OPEN.size):
            for number, *rest in OPEN.iter_unpack(data):
                arguments, (index, thread, name) = tuple(rest[:6]), rest[6:]
                found.append(Record(self.core, 0, number, 0, arguments, self._session, thread, ENTER,
                                    _text(name), {}))
            if index < start:
                break
            start = index + 1
        return found

    def take(self):
        """Records that are there, in the order in which they were noted. Of a core that notes faster than
        the line takes: some of them, and now_ns is the last one's."""
        records = []
        for _ in range(ASKS_MAX):
            data = self._line.ask(self.core, "CALLS_TAKE", self._position)
            if data is None or len(data) < ANSWER.size or (len(data) - ANSWER.size) % SLOT_BYTES:
                return records
            first, self.lost, self.ended, self.now_ns = ANSWER.unpack_from(data)
            if first != self._position:  # nobody but this client takes: the beginning
                self._position, self._content = first, b""
            slots = [data[at:at + SLOT_BYTES] for at in range(ANSWER.size, len(data), SLOT_BYTES)]
            for slot in slots:
                self._add(slot, records)
            if len(slots) < ANSWER_SLOTS_MAX:
                return records
        self.now_ns = min(self.now_ns, records[-1].time_ns if records else 0)
        return records

    def _add(self, slot, records):
        self._position += 1
        self._content += slot[SEQUENCE.size:]
        wanted = min(RECORD_SLOTS_MAX, max(1, self._content[SLOTS_AT]))
        if len(self._content) >= wanted * (SLOT_BYTES - SEQUENCE.size):
            record = record_of(self.core, self._content)
            self._content = b""
            if record is not None and record.session == self._session:
                records.append(record)


class Calls:
    """Those of all cores. numbers: which are noted."""

    def __init__(self, line, count, numbers):
        self._rings = [Ring(line, core) for core in range(count)]
        self._held = []  # records behind which earlier ones of another core may still come
        session = secrets.randbelow((1 << 32) - 1) + 1
        for ring in self._rings:
            ring.begin(session)
        for ring in self._rings:
            ring.select(numbers)
        self._open = [record for ring in self._rings for record in ring.open_calls()
                      if min(record.number, NUMBERS) in numbers]

    @property
    def lost(self):
        return sum(ring.lost for ring in self._rings)

    @property
    def ended(self):
        """(kind, status, signal) of the console's exit record; None: the program runs."""
        value = self._rings[0].ended
        return (value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff) if value & ENDED else None

    def take(self):
        """Records that are there, oldest first; when the program has ended, all that are left."""
        is_last = self.ended is not None
        records = [record for ring in self._rings for record in ring.take()]
        opened = self._still_open(records)
        self._held += records
        self._held.sort(key=lambda record: record.time_ns)
        horizon = min(ring.now_ns for ring in self._rings)
        ready = [record for record in self._held if is_last or record.time_ns <= horizon]
        self._held = self._held[len(ready):]
        return opened + ready

    def _still_open(self, records):
        """Of the calls that were open at the beginning: a thread's first record is the call's end, or
        there is none; else the call had been noted, or was over."""
        opened, self._open = self._open, []
        first = {}
        for record in records:
            first.setdefault(record.thread, record.kind)
        return [record for record in opened if first.get(record.thread, LEAVE) != ENTER]

    def end(self):
        for ring in reversed(self._rings):  # core 0 last: then a machine that has ended goes
            ring.end()
