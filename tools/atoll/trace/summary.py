# SPDX-License-Identifier: Apache-2.0
"""`./atoll trace --summary`: what the rings say in a screen of text."""
import collections

from atoll.trace.program import CALL, SPAN, program_slices
from atoll.trace.timeline import (IDLE, KERNEL, RUN, gate_calls_of, messages, queue_waits, spans)

PERCENTILES = (50, 90, 99, 100)
CALLS_MAX = 8


def percentile(sorted_values, percent):
    """The least value that so many per cent do not exceed."""
    return sorted_values[max(0, -(-len(sorted_values) * percent // 100) - 1)]


def _distribution(title, values):
    if not values:
        return f"{title}: none"
    values = sorted(values)
    cells = ", ".join(f"{'longest' if p == 100 else f'{p} %'} {time_text(percentile(values, p))}"
                      for p in PERCENTILES)
    return f"{title}: {len(values):,}: {cells}"


def time_text(nanoseconds):
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if nanoseconds >= scale:
            return f"{nanoseconds / scale:.3g} {unit}"
    return f"{nanoseconds} ns"


def _core_line(core):
    parts = collections.Counter()
    for span in spans(core):
        parts[span.kind] += span.length
    total = sum(parts.values())
    shares = ", ".join(f"{name} {100 * parts[kind] / total:.1f} %" if total else f"{name} -"
                       for name, kind in (("program", RUN), ("kernel", KERNEL), ("idle", IDLE)))
    dropped = f", {core.dropped:,} dropped" if core.dropped else ""
    return f"core {core.number}: {shares}, of {time_text(total)}; {len(core.records):,} records{dropped}"


def _timed_lines(title, pairs):
    """pairs: (name, nanoseconds)"""
    times = collections.defaultdict(list)
    for name, nanoseconds in pairs:
        times[name].append(nanoseconds)
    rows = sorted(times.items(), key=lambda row: (-len(row[1]), row[0]))
    yield f"{title}: " + (f"{sum(len(t) for t in times.values()):,}" if rows else "none")
    for name, values in rows[:CALLS_MAX]:
        values.sort()
        yield (f"  {name:<14} {len(values):>9,}  half within {time_text(percentile(values, 50))}, "
               f"longest {time_text(values[-1])}")
    yield from _others(rows)


def _others(rows):
    if len(rows) > CALLS_MAX:
        yield f"  and {len(rows) - CALLS_MAX} others"


def _point_lines(points):
    found = collections.defaultdict(list)
    for point in points:
        found[point.name, point.is_counter].append(point.value)
    rows = sorted(found.items(), key=lambda row: (-len(row[1]), row[0]))
    for (name, is_counter), values in rows[:CALLS_MAX]:
        told = f"  {min(values):,} to {max(values):,}, at last {values[-1]:,}" if is_counter else ""
        yield f"  {name:<14} {len(values):>9,}{told}"
    yield from _others(rows)


# @impl ATL-LLR-TOOL-1196~1
def _program_lines(cores):
    """Nothing, if neither posix/ nor the program noted anything."""
    if not any(ring.records or ring.gaps for core in cores for ring in (core.posix, core.program)):
        return
    slices, points = program_slices(cores)
    yield from _timed_lines("system calls", ((s.name, s.length) for s in slices if s.kind == CALL))
    yield from _timed_lines("spans of the program", ((s.name, s.length) for s in slices if s.kind == SPAN))
    yield "other events of the program: " + (f"{len(points):,}" if points else "none")
    yield from _point_lines(points)
    for who, dropped in (("library OS", sum(core.posix.dropped for core in cores)),
                         ("program", sum(core.program.dropped for core in cores))):
        if dropped:
            yield f"events of the {who} that were dropped: {dropped:,}"


def _longest_line(cores):
    """The kernel runs with interrupts off."""
    found = [(span.length, core.number, span.title) for core in cores for span in spans(core)
             if span.kind == KERNEL and span.entry is not None]
    if not found:
        return "longest time in the kernel: none"
    length, core, title = max(found)
    return f"longest time in the kernel, interrupts off: {time_text(length)}, core {core}, {title}"


# @impl ATL-LLR-TOOL-0603~1
def summary(cores):
    """The text."""
    waits = [wait for core in cores for wait in queue_waits(core)]
    times = [end.time - start.time for start, _, end, _ in messages(cores)]
    return "\n".join([*(_core_line(core) for core in cores),
                      _distribution("wait in a run queue", waits),
                      *_timed_lines("gate calls", (call for core in cores for call in gate_calls_of(core))),
                      _distribution("message between cores", times), _longest_line(cores),
                      *_program_lines(cores)]) + "\n"
