# SPDX-License-Identifier: Apache-2.0
"""Tables for a person, of what a machine says (line.py): at most 80 columns."""
import functools
import re

from atoll.gate import gate_calls
from atoll.paths import ROOT

COLUMNS = 80
STATES = ("free", "ready", "running", "parked", "waiting")
EXCEPTIONS = {1: "debug", 2: "NMI", 3: "breakpoint", 6: "invalid opcode", 7: "no extended state",
              13: "general protection", 14: "page fault", 16: "x87", 17: "alignment", 19: "SIMD"}
STUB_VECTORS = {0xfc: "debug line", 0xfd: "debug"}
NO_ANSWER = "no answer"


def _row(text):
    return text.rstrip()[:COLUMNS]


def _for_cores(line, count, title, row):
    """A title and, for each core, the row that `row` makes of what it says."""
    lines = [title]
    for core in range(count):
        said = line.core(core)
        lines.append(_row(f"{core:>4}  {row(said) if said else NO_ANSWER}"))
    return lines


def cores(line, count):
    def row(said):
        return (f"{'thread' if said['current'] else 'idle':<8}{said['threads']:>7}"
                f"{said['busy_ns'] / 1e9:>13.3f}{said['idle_ns'] / 1e9:>13.3f}{said['switches']:>12}"
                f"{said['stops']:>9}")
    return _for_cores(line, count, "core  runs    threads       busy s       idle s    switches    stops", row)


def memory(line, count):
    def row(said):
        return (f"{said['frames_free'] * 4:>12}{said['frames_total'] * 4:>12}"
                f"{100 * said['frames_free'] // max(1, said['frames_total']):>7}")
    return _for_cores(line, count, "core    free (KiB)    of (KiB)  free %", row)


def gate(line, count):
    def row(said):
        return "".join(f"{said[name]:>13}" for name in
                       ("gate_calls", "linux_calls", "interrupts", "faults", "switches"))
    lines = _for_cores(line, count, "core     gate calls  Linux calls   interrupts       faults     switches", row)
    names = {fields["number"]: name for name, fields in gate_calls().items()}
    lines += ["", "core  call                  count"]
    for core in range(count):
        counts = line.gate(core)
        if counts is None:
            lines.append(f"{core:>4}  {NO_ANSWER}")
            continue
        lines += [_row(f"{core:>4}  {names.get(number, '?'):<14}{made:>13}")
                  for number, made in enumerate(counts) if made]
    return lines


def threads(line, count):
    lines = [" thread  core  state    priority     cpu s  rip                 name"]
    for core in range(count):
        lines += [_row(f"{t['id']:>7}  {t['core']:>4}  {_state(t):<9}{t['priority']:>8}"
                       f"{t['run_ns'] / 1e9:>10.3f}  {t['rip']:<#18x}  {t['name']}")
                  for t in line.threads(core)]
    return lines


def _state(thread):
    return STATES[thread["state"]] if thread["state"] < len(STATES) else "?"


def channels(line, count):
    """Messages between each pair of cores that ever sent one, and those that wait to be taken."""
    rows = [line.channels(core) for core in range(count)]
    lines = ["from    to        messages  not taken"]
    for sender, row in enumerate(rows):
        for receiver in range(count):
            taken_by = rows[receiver]
            if row is None or len(row) <= receiver or not row[receiver][0]:
                continue
            sent = row[receiver][0]
            # Asked later, the receiver may have taken more than had been sent.
            waiting = (str(max(0, _difference(sent, taken_by[sender][1])))
                       if taken_by and len(taken_by) > sender else NO_ANSWER)
            lines.append(_row(f"{sender:>4}  {receiver:>4}  {sent:>14}  {waiting:>9}"))
    return lines


def _difference(later, earlier):
    """Of two counts modulo 2^32."""
    value = (later - earlier) & 0xffffffff
    return value - (1 << 32) if value >> 31 else value


@functools.cache
def vector_names():
    """{vector: name}: the kernel's from its header."""
    text = (ROOT / "kernel/include/kernel/layout.h").read_text()
    found = re.findall(r"^#define VECTOR_(\w+) (0x[0-9a-f]+)\b", text, re.M)
    return {**EXCEPTIONS, **{int(number, 16): name.lower() for name, number in found}, **STUB_VECTORS}


def interrupts(line, count):
    lines = ["core  vector           count  what"]
    for core in range(count):
        counts = line.interrupts(core)
        if counts is None:
            lines.append(f"{core:>4}  {NO_ANSWER}")
            continue
        lines += [_row(f"{core:>4}  {vector:>6}  {number:>14}  {vector_names().get(vector, '')}")
                  for vector, number in enumerate(counts) if number]
    return lines


# @impl ATL-LLR-TOOL-0932~1
class Top:
    """Use of cores and threads between two looks at the machine."""

    def __init__(self):
        self._cores, self._threads = {}, {}

    def look(self, line, count):
        """The table since the last look; since boot, at the first."""
        core_lines, found, spans = [], [], {}
        for core in range(count):
            said = line.core(core)
            if said is None:
                core_lines.append(f"{core:>4}  {NO_ANSWER}")
                continue
            before = self._cores.get(core, {"now_ns": 0, "idle_ns": 0, "switches": 0})
            self._cores[core] = said
            span = max(1, said["now_ns"] - before["now_ns"])
            spans[core] = span
            idle = min(span, max(0, said["idle_ns"] - before["idle_ns"]))
            core_lines.append(_row(f"{core:>4}{100 * (span - idle) / span:>8.1f}{100 * idle / span:>8.1f}"
                                   f"{said['threads']:>9}{said['switches'] - before['switches']:>12}"))
            found += line.threads(core)
        thread_lines = []
        for thread in found:
            ran = max(0, thread["run_ns"] - self._threads.get(thread["id"], 0))
            self._threads[thread["id"]] = thread["run_ns"]
            share = min(100.0, 100 * ran / spans.get(thread["core"], 1))
            thread_lines.append((-share, thread["id"], _row(
                f"{thread['id']:>7}{thread['core']:>6}  {_state(thread):<8}{share:>7.1f}"
                f"{thread['run_ns'] / 1e9:>11.3f}  {thread['name']}")))
        return (["core  busy %  idle %  threads    switches"] + core_lines
                + ["", " thread  core  state     cpu %      cpu s  name"]
                + [text for _, _, text in sorted(thread_lines)])


TABLES = {"cores": cores, "ps": threads, "threads": threads, "memory": memory, "mem": memory,
          "channels": channels, "gate": gate, "irqs": interrupts}
