# SPDX-License-Identifier: Apache-2.0
"""The published rules of Chrome's trace event format ("Trace Event Format", JSON object format), as strictly as
Perfetto's importer takes them. Knows nothing of our writer."""
import collections
import json

PHASES = {"M", "X", "B", "E", "s", "t", "f", "i", "C"}
METADATA = {"process_name", "thread_name", "process_labels", "process_sort_index", "thread_sort_index"}


def _nanoseconds(row):
    """(start, end) of a slice, or twice the time of another event: times are microseconds with three places."""
    start = round(row["ts"] * 1000)
    return start, start + round(row.get("dur", 0) * 1000)


def _number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _event(row):
    """What is wrong with one event."""
    if not isinstance(row, dict) or row.get("ph") not in PHASES:
        return "no event of a known phase"
    if not isinstance(row.get("pid"), int) or not isinstance(row.get("tid"), int):
        return "pid and tid are numbers"
    if not isinstance(row.get("name"), str) or not row["name"]:
        return "an event has a name"
    if not isinstance(row.get("args", {}), dict):
        return "args is an object"
    if row["ph"] == "M":
        is_named = row["name"] in METADATA and isinstance(row.get("args", {}).get("name"), str)
        return None if is_named else "metadata without what it says"
    if not _number(row.get("ts")):
        return "an event has a time"
    if row["ph"] == "X" and not _number(row.get("dur")):
        return "a complete event has a duration"
    if row["ph"] == "i" and row.get("s", "t") not in ("t", "p", "g"):
        return "an instant is a thread's, a process' or everybody's"
    if row["ph"] == "C" and not (row.get("args") and all(
            isinstance(v, (int, float)) and not isinstance(v, bool) for v in row["args"].values())):
        return "a counter counts numbers"
    if row["ph"] in "stf" and ("id" not in row or not row.get("cat")):
        return "a flow event has an id and a category"
    return None


def _nesting(rows):
    """Of one track: slices lie in each other or beside each other; B and E are pairs, in order."""
    open_slices, begun = [], []
    last = 0
    for row in sorted((r for r in rows if r["ph"] == "X"), key=lambda r: (r["ts"], -r["dur"])):
        start, end = _nanoseconds(row)
        while open_slices and open_slices[-1] <= start:
            open_slices.pop()
        if open_slices and end > open_slices[-1]:
            return f"the slice at {row['ts']} ends behind the one that it lies in"
        open_slices.append(end)
    for row in (r for r in rows if r["ph"] in "BE"):
        if row["ts"] < last:
            return "B and E are in order"
        last = row["ts"]
        if row["ph"] == "B":
            begun.append(row["name"])
        elif not begun or begun.pop() != row["name"]:
            return f"an E without its B at {row['ts']}"
    return "a B without its E" if begun else None


def _flows(rows):
    """A flow starts once, ends once, not before it starts, and both lie in a slice of their track."""
    slices = collections.defaultdict(list)
    for row in rows:
        if row["ph"] == "X":
            slices[row["pid"], row["tid"]].append(_nanoseconds(row))
    flows = collections.defaultdict(list)
    for row in rows:
        if row["ph"] in "stf":
            flows[row["cat"], row["name"], row["id"]].append(row)
            at, _ = _nanoseconds(row)
            if not any(start <= at < end for start, end in slices[row["pid"], row["tid"]]):
                return f"the flow event at {row['ts']} lies in no slice"
            if row["ph"] == "f" and row.get("bp") != "e":
                return "an end of a flow binds to the slice that it lies in"
    for key, found in flows.items():
        found.sort(key=lambda r: (r["ts"], "stf".index(r["ph"])))
        phases = "".join(row["ph"] for row in found)
        if phases[0] != "s" or phases[-1] != "f" or phases.count("s") != 1 or phases.count("f") != 1:
            return f"the flow {key} has the events {phases}"
    return None


def wrong_in(text):
    """The first rule that a file breaks; None: none."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("traceEvents"), list):
        return "an object with traceEvents"
    if document.get("displayTimeUnit", "ms") not in ("ms", "ns"):
        return "displayTimeUnit is ms or ns"
    rows = document["traceEvents"]
    for row in rows:
        if wrong := _event(row):
            return f"{wrong}: {row}"
    tracks = collections.defaultdict(list)
    for row in rows:
        if row["ph"] != "M":
            tracks[row["pid"], row["tid"]].append(row)
    named = {(row["pid"], row["tid"]) for row in rows if row["name"] == "thread_name"}
    for track, found in tracks.items():
        if track not in named:
            return f"the track {track} has no name"
        if wrong := _nesting(found):
            return f"track {track}: {wrong}"
    return _flows(rows)
