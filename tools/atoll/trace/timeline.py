# SPDX-License-Identifier: Apache-2.0
"""What a core did when, told from its records. Records are made by the kernel alone, so whatever lies
between an entry (call, interrupt, fault) and the last record before the next entry is kernel time."""
import dataclasses

from atoll.trace.records import Record, describe

ENTRIES = {"gate_enter", "interrupt", "fault"}
RUN, KERNEL, IDLE = "run", "kernel", "idle"


@dataclasses.dataclass(frozen=True)
class Span:
    """kind: RUN with its thread (None: it is not known yet), KERNEL with how it was entered, or IDLE."""
    kind: str
    start: int
    end: int
    thread: int | None = None
    entry: Record | None = None

    @property
    def length(self):
        return self.end - self.start

    @property
    def title(self):
        return describe(self.entry) if self.entry else self.kind


def spans(core):
    """The Spans of a core, one behind the other, from its first record to its last."""
    found, thread, records = [], None, core.records
    position = 0
    while position < len(records):
        first = position
        entry = records[first] if records[first].name in ENTRIES else None
        position += 1
        # An interrupt of a call's handler cannot be: only a call that is repeated enters twice.
        while position < len(records) and not _leaves(records[position - 1], records[position]):
            position += 1
        group = records[first:position]
        for record in group:
            if record.name in ("switch", "resume"):
                thread = record.fields["thread"]
        last = group[-1]
        found.append(Span(KERNEL, group[0].time, last.time, entry=entry))
        if position < len(records):
            kind = IDLE if last.name == "idle" else RUN
            found.append(Span(kind, last.time, records[position].time, thread if kind == RUN else None))
    return found


def _leaves(last, following):
    """Between these two records of one core its kernel was left."""
    if last.name == "idle":
        return True
    if following.name not in ENTRIES:
        return False
    if following.name == "gate_enter":
        return last.name in ("gate_leave", "resume")
    return True


def queue_waits(core):
    """Nanoseconds from each `ready` of a thread to when it runs on this core."""
    since, waits = {}, []
    for record in core.records:
        if record.name == "ready":
            since[record.fields["thread"]] = record.time
        elif record.name in ("switch", "resume"):
            start = since.pop(record.fields["thread"], None)
            if start is not None:
                waits.append(record.time - start)
    return waits


def messages(cores):
    """[(send, its core, receive, its core)] of each message of which both ends are there, by causal id:
    the pair of cores and the place in the ring between them, which is used again after 2^32 messages."""
    sent = {}
    for core in cores:
        for record in core.records:
            if record.name == "send":
                sent[core.number, record.fields["core"], record.fields["sequence"]] = record
    pairs = []
    for core in cores:
        for record in core.records:
            if record.name == "receive":
                start = sent.get((record.fields["core"], core.number, record.fields["sequence"]))
                if start is not None:
                    pairs.append((start, record.fields["core"], record, core.number))
    return pairs


def gate_calls_of(core):
    """[(name, nanoseconds in its handler)] of each call of which both ends are there."""
    found, entered = [], None
    for record in core.records:
        if record.name == "gate_enter":
            entered = record
        elif record.name == "gate_leave" and entered is not None:
            if entered.fields["call"] == record.fields["call"]:
                found.append((describe(record), record.time - entered.time))
            entered = None
    return found
