# SPDX-License-Identifier: Apache-2.0
"""The rings as JSON for ui.perfetto.dev and chrome://tracing: a process for each core, in it a track for
its kernel and one for each of its threads, and an arrow for each message between cores; and one process for the
program, with a track for each of its threads."""
import json

from atoll.trace.program import CALL, kernel_thread_names, program_slices, thread_names
from atoll.trace.timeline import KERNEL, RUN, messages, spans

KERNEL_TRACK = 0
PROGRAM = 1000  # the process


def thread_track(thread):
    return KERNEL_TRACK + 1 + thread


def _microseconds(nanoseconds):
    return nanoseconds / 1000


def _name(kind, process, track, name):
    return {"ph": "M", "name": kind, "pid": process, "tid": track, "ts": 0, "args": {"name": name}}


def _slice(process, track, span, name, arguments, category):
    return {"ph": "X", "pid": process, "tid": track, "name": name, "cat": category, "ts": _microseconds(span.start),
            "dur": _microseconds(span.length), "args": arguments}


def _core_rows(core):
    rows, threads, known = [], set(), kernel_thread_names(core)
    for span in spans(core):
        if span.kind == KERNEL:
            arguments = span.entry.fields if span.entry else {}
            rows.append(_slice(core.number, KERNEL_TRACK, span, span.title, arguments, "kernel"))
        elif span.kind == RUN and span.thread is not None:
            threads.add(span.thread)
            rows.append(_slice(core.number, thread_track(span.thread), span, "runs", {}, "kernel"))
    names = [_name("process_name", core.number, KERNEL_TRACK, f"core {core.number}"),
             _name("thread_name", core.number, KERNEL_TRACK, "kernel")]
    names += [_name("thread_name", core.number, thread_track(t), known.get(t, f"thread {t}")) for t in sorted(threads)]
    return names + rows


def _arrows(cores):
    for number, (start, sender, end, receiver) in enumerate(messages(cores)):
        common = {"name": "message", "cat": "message", "id": number, "tid": KERNEL_TRACK}
        yield {**common, "ph": "s", "pid": sender, "ts": _microseconds(start.time)}
        yield {**common, "ph": "f", "bp": "e", "pid": receiver, "ts": _microseconds(end.time)}


# @impl ATL-LLR-TOOL-1195~1
def _program_rows(cores):
    slices, points = program_slices(cores)
    threads = {row.thread for row in (*slices, *points)}
    if not threads:
        return
    names = thread_names(cores)
    yield _name("process_name", PROGRAM, min(threads), "program")
    for thread in sorted(threads):
        name = f"{names[thread]} ({thread})" if names.get(thread) else f"thread {thread}"
        yield _name("thread_name", PROGRAM, thread, name)
    for row in slices:
        yield _slice(PROGRAM, row.thread, row, row.name, row.fields, "call" if row.kind == CALL else "program")
    for point in points:
        common = {"pid": PROGRAM, "tid": point.thread, "name": point.name, "cat": "program",
                  "ts": _microseconds(point.time)}
        if point.is_counter:
            yield {**common, "ph": "C", "args": {"value": point.value}}
        else:
            yield {**common, "ph": "i", "s": "t", "args": {} if point.value is None else {"value": point.value}}


# @impl ATL-LLR-TOOL-0602~1
def chrome_json(cores):
    """The text of the file."""
    rows = [row for core in cores for row in _core_rows(core)]
    rows += _arrows(cores)
    rows += _program_rows(cores)
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": rows}, separators=(",", ":")) + "\n"
