# SPDX-License-Identifier: Apache-2.0
"""What the program did, told from its own events and those of posix/: for each of its threads slices, one in the
other, of what it called a span and of its system calls; and what happened at one instant. Texts that it wrote to
trace_marker in the form of Android's atrace ("B|1|name", "E|1", "C|1|name|5", "I|1|name") are what they say."""
import dataclasses

from atoll.trace.records import describe

SPAN, CALL = "span", "call"


@dataclasses.dataclass(frozen=True)
class Slice:
    kind: str
    thread: int
    name: str
    start: int
    end: int
    fields: dict

    @property
    def length(self):
        return self.end - self.start


@dataclasses.dataclass(frozen=True)
class Point:
    """value: of a counter, else None."""
    thread: int
    name: str
    time: int
    is_counter: bool = False
    value: int | None = None


def _event_of_text(text):
    """(what, name, value) of a marker's text."""
    parts = text.split("|")
    if parts[0] == "B" and len(parts) >= 3:
        return "begin", "|".join(parts[2:]), None
    if parts[0] == "E" and len(parts) <= 2:
        return "end", "", None
    if parts[0] == "C" and len(parts) >= 4 and parts[-1].removeprefix("-").isdecimal():
        return "counter", "|".join(parts[2:-1]), int(parts[-1])
    if parts[0] == "I" and len(parts) >= 3:
        return "instant", "|".join(parts[2:]), None
    return "instant", text, None


class _Thread:
    """The open slices of one thread, the innermost last."""

    def __init__(self, number, slices):
        self._number, self._slices, self._open = number, slices, []

    def begin(self, kind, name, time, fields):
        self._open.append((kind, name, time, fields))

    def end(self, kind, name, time, fields):
        """Ends the innermost of a kind (and, of calls, of a name), and what was left open within it: its end was
        lost. One that began before the trace is not there."""
        depth = next((i for i in reversed(range(len(self._open)))
                      if self._open[i][0] == kind and (kind == SPAN or self._open[i][1] == name)), None)
        while depth is not None and len(self._open) > depth:
            own, title, start, found = self._open.pop()
            self._slices.append(Slice(own, self._number, title, start, time,
                                      {**found, **fields} if len(self._open) == depth else found))

    def finish(self, time):
        while self._open:
            kind, name, start, fields = self._open.pop()
            self._slices.append(Slice(kind, self._number, name, start, time, fields))


def program_records(cores):
    """All records of posix/ and the program, in the order of their times."""
    return sorted((record for core in cores for ring in (core.posix, core.program) for record in ring.records),
                  key=lambda record: record.time)


# @impl ATL-LLR-TOOL-1195~1
def program_slices(cores):
    """([Slice], [Point])"""
    slices, points, threads = [], [], {}
    records = program_records(cores)
    for record in records:
        thread = threads.setdefault(record.thread, _Thread(record.thread, slices))
        if record.name == "syscall_enter":
            rest = {name: value for name, value in record.fields.items() if name != "call"}
            thread.begin(CALL, describe(record), record.time, rest)
        elif record.name == "syscall_leave":
            thread.end(CALL, describe(record), record.time, {"result": record.fields["result"]})
        elif record.name in ("begin", "end", "instant", "counter", "marker"):
            _own_event(record, thread, points)
    for thread in threads.values():
        thread.finish(records[-1].time)
    return slices, points


def _own_event(record, thread, points):
    if record.name == "marker":
        what, name, value = _event_of_text(record.fields["text"])
    else:
        what, name, value = record.name, record.fields.get("name", ""), record.fields.get("value")
    name = name or "(no name)"
    if what == "begin":
        thread.begin(SPAN, name, record.time, {})
    elif what == "end":
        thread.end(SPAN, name, record.time, {})
    else:
        points.append(Point(record.thread, name, record.time, what == "counter", value))


def thread_names(cores):
    """{Linux thread id: its name, the last that it had}"""
    return {record.thread: record.fields["name"] for record in program_records(cores) if record.name == "thread"}


def kernel_thread_names(core):
    """{index in a core's pool: name of the one Linux thread that was there}; of a place that several had: none."""
    found = {}
    for record in core.posix.records:
        if record.name == "thread":
            found.setdefault(record.fields["index"], {})[record.thread] = record.fields["name"]
    return {index: f"{name} ({thread})" for index, threads in found.items() if len(threads) == 1
            for thread, name in threads.items()}
