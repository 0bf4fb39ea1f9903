# SPDX-License-Identifier: Apache-2.0
"""The rings as JSON for ui.perfetto.dev and chrome://tracing: a process for each core, in it a track for
its kernel and one for each of its threads, and an arrow for each message between cores."""
import json

from atoll.trace.timeline import KERNEL, RUN, messages, spans

KERNEL_TRACK = 0


def thread_track(thread):
    return KERNEL_TRACK + 1 + thread


def _microseconds(nanoseconds):
    return nanoseconds / 1000


def _name(kind, core, track, name):
    return {"ph": "M", "name": kind, "pid": core, "tid": track, "args": {"name": name}}


def _slice(core, track, span, name, arguments):
    return {"ph": "X", "pid": core, "tid": track, "name": name, "ts": _microseconds(span.start),
            "dur": _microseconds(span.length), "args": arguments}


def _core_rows(core):
    rows, threads = [], set()
    for span in spans(core):
        if span.kind == KERNEL:
            arguments = span.entry.fields if span.entry else {}
            rows.append(_slice(core.number, KERNEL_TRACK, span, span.title, arguments))
        elif span.kind == RUN and span.thread is not None:
            threads.add(span.thread)
            rows.append(_slice(core.number, thread_track(span.thread), span, "runs", {}))
    names = [_name("process_name", core.number, KERNEL_TRACK, f"core {core.number}"),
             _name("thread_name", core.number, KERNEL_TRACK, "kernel")]
    names += [_name("thread_name", core.number, thread_track(t), f"thread {t}") for t in sorted(threads)]
    return names + rows


def _arrows(cores):
    for number, (start, sender, end, receiver) in enumerate(messages(cores)):
        common = {"name": "message", "cat": "message", "id": number, "tid": KERNEL_TRACK}
        yield {**common, "ph": "s", "pid": sender, "ts": _microseconds(start.time)}
        yield {**common, "ph": "f", "bp": "e", "pid": receiver, "ts": _microseconds(end.time)}


# @impl ATL-LLR-TOOL-0602~1
def chrome_json(cores):
    """The text of the file."""
    rows = [row for core in cores for row in _core_rows(core)]
    rows += _arrows(cores)
    return json.dumps({"displayTimeUnit": "ns", "traceEvents": rows}, separators=(",", ":")) + "\n"
