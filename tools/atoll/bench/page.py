# SPDX-License-Identifier: Apache-2.0
"""The numbers to look at: a page that needs nothing else, and the tables and the plot of
docs/BENCHMARKS.md."""
import html
import math
import platform
import re
import tomllib

from atoll.bench.network import METRICS, SERVERS
from atoll.errors import ToolError
from atoll.paths import ROOT

DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
PLOT = ROOT / "docs" / "benchmarks.svg"
AIMS = ROOT / "bench" / "aims.toml"
BARE = "times the bare image"  # the table of aims for what a boot takes
BEGIN, END = "<!-- ./atoll bench --document: begin -->\n", "<!-- end -->\n"
TITLES = {"bare": "Bare image", "atoll-ring0": "Ring 0", "atoll-ring3": "Ring 3", "linux": "Linux"}

WIDTH = 360
COLOURS = {"bare": "#8a8a8a", "atoll-ring0": "#2a7f62", "atoll-ring3": "#1f5fa8", "linux": "#b8622c"}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em;
       color: #1c1c1c; background: #fff }
table { border-collapse: collapse; margin: 0.5em 0 2em }
th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal }
td.bars { text-align: left }
small { color: #666 }
"""


def _bars(rows):
    """An SVG with one bar for each (system, value), the longest over the whole width."""
    longest = max((value for _, value in rows), default=0) or 1
    bars = "".join(
        f'<rect x="0" y="{9 * i}" width="{max(1.0, WIDTH * value / longest):.1f}" height="7" '
        f'fill="{COLOURS[system]}"><title>{system}: {value:,.0f}</title></rect>'
        for i, (system, value) in enumerate(rows))
    return f'<svg width="{WIDTH}" height="{9 * len(rows)}" role="img">{bars}</svg>'


def _cell(row):
    if row is None:
        return "<td>-</td>"
    spread = f" <small>{row[2]:,.0f}..{row[3]:,.0f}</small>" if round(row[2]) != round(row[3]) else ""
    time = f"<br><small>{row[1] / 1000:,.1f} us</small>" if row[1] is not None else ""
    return f"<td>{row[0]:,.0f}{spread}{time}</td>"


def _table(program, results):
    systems = list(results)
    names = dict.fromkeys(name for result in results.values() for name in result)
    head = "".join(f'<th style="color:{COLOURS[s]}">{s}</th>' for s in systems)
    lines = []
    for name in names:
        cells = "".join(_cell(results[s].get(name)) for s in systems)
        bars = _bars([(s, results[s][name][0]) for s in systems if name in results[s]])
        lines.append(f'<tr><td>{html.escape(name)}</td>{cells}<td class="bars">{bars}</td></tr>')
    return (f"<h2>{html.escape(program)}</h2>\n<table>\n<tr><th></th>{head}<th></th></tr>\n"
            + "\n".join(lines) + "\n</table>\n")


# @impl ATL-LLR-TOOL-0082~1
def html_page(everything, cores, linux=""):
    """The page of {program: {system: {operation: (instructions, ns or None, lowest, highest)}}}. linux: what its guest says
    of itself."""
    tables = "".join(_table(program, results) for program, results in everything.items())
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Atoll: guest '
            f"instructions</title>\n<style>{STYLE}</style></head><body>\n<h1>Guest instructions for one "
            f"operation</h1>\n<p>Summed over {cores} cores, counted by a plugin of QEMU's TCG on "
            f"{html.escape(platform.platform())}. Below a number: the time in this emulator, which says "
            "little. Behind it: lowest and highest of several runs, where they differ. Bars of one row share "
            f"a scale.</p>\n<p>{html.escape(f'Linux guest: {linux}') if linux else ''}</p>\n{tables}</body></html>\n")


def _text(row):
    if row is None:
        return "-"
    return f"{row[0]:,.0f}" if row[0] >= 10 or row[0] == int(row[0]) else f"{row[0]:.2g}"


# @impl ATL-LLR-TOOL-1040~1
def _times_cheaper(results, name):
    """What Linux takes by what ring 3 takes; None unless both have it, as a cost."""
    ours, theirs = (results.get(system, {}).get(name) for system in ("atoll-ring3", "linux"))
    return theirs[0] / ours[0] if ours and theirs and ours[0] and ours[1] is not None else None


def _verdict(aim, reached):
    """Two cells: the aim, and whether it is reached."""
    if aim is None:
        return "|  |  |"
    return f"| {aim:,.0f} | {'' if reached is None else 'met' if reached <= aim else 'short'} |"


def _document_table(program, results, aims):
    systems = list(results)
    names = dict.fromkeys(name for result in results.values() for name in result)
    metric = next((m for m in METRICS if program == f"servers: {m}"), None)
    lines = [f"| {program} | " + " | ".join(TITLES[s] for s in systems) + " | Linux by ring 3 | Aim | |",
             "|---|" + "---:|" * (len(systems) + 2) + "---|"]
    for name in names:
        cells = [_text(results[s].get(name)) for s in systems]
        reached, cheaper = results.get("atoll-ring3", {}).get(name), _times_cheaper(results, name)
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {f'{cheaper:,.1f}' if cheaper else ''} "
                     + _verdict(aims.get(f"{name}: {metric}" if metric else name), reached and reached[0]))
    if program == "boot":
        lines += _times(results, systems, names, aims.get(BARE, {}))
    return "\n".join(lines) + "\n"


# @impl ATL-LLR-TOOL-1040~1
def _times(results, systems, names, aims):
    """Rows of milliseconds: a boot is waited for. aims: how many times the bare image's time, which is what machine and
    firmware take, it shall take at most."""
    rows = []
    for name in names:
        milliseconds = {s: row[1] / 1e6 for s in systems if (row := results[s].get(name))}
        ours, bare, theirs = (milliseconds.get(s) for s in ("atoll-ring3", "bare", "linux"))
        aim = aims[name] * bare if bare and name in aims else None
        cells = [f"{milliseconds[s]:,.0f}" if s in milliseconds else "-" for s in systems]
        rows.append(f"| {name}: milliseconds to the first output | " + " | ".join(cells)
                    + f" | {f'{theirs / ours:,.1f}' if ours and theirs else ''} " + _verdict(aim, ours))
    return rows


def plot(everything):
    """An SVG: for each operation that Linux has too, how many times cheaper it is in ring 3."""
    rows = [(name, ratio) for results in everything.values() for name in results.get("atoll-ring3", {})
            if (ratio := _times_cheaper(results, name))]
    scale = 300 / max((math.log10(max(ratio, 1)) for _, ratio in rows), default=1)
    parts = []
    for i, (name, ratio) in enumerate(rows):
        length = max(1.0, scale * math.log10(max(ratio, 1)))
        parts.append(f'<text x="272" y="{20 * i + 34}" text-anchor="end">{html.escape(name)}</text>'
                     f'<rect x="280" y="{20 * i + 23}" width="{length:.1f}" height="14" '
                     f'fill="{COLOURS["atoll-ring3"] if ratio >= 1 else COLOURS["linux"]}"/>'
                     f'<text x="{286 + length:.1f}" y="{20 * i + 34}">{ratio:.2g}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="660" height="{20 * len(rows) + 50}" '
            'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
            '<text x="8" y="14">Instructions on Linux for one in ring 3 of Atoll '
            "(logarithmic; higher is better)</text>\n" + "\n".join(parts) + "\n</svg>\n")


def by_metric(everything):
    """The same with what is measured of servers put together: a table for each metric, not for each server."""
    tables = {}
    for program, results in everything.items():
        for system, rows in results.items():
            for name, row in rows.items():
                metric = next((m for m in METRICS if name.endswith(f": {m}")), None) if program in SERVERS else None
                title = (f"servers: {metric or 'instructions'}" if program in SERVERS else program)
                key = name.removesuffix(f": {metric}")
                tables.setdefault(title, {}).setdefault(system, {})[key] = row
    return tables


def _old_tables(text):
    """{title: lines} of a document's tables."""
    return {part.split("|")[1].strip(): part.strip().splitlines() for part in text.split("\n\n") if part.strip()}


def _row_name(line):
    return line.split("|")[1].strip()


def _merged(old, new):
    """The lines of a table with those of its rows replaced that are measured anew."""
    head, rows = new[:2], {_row_name(line): line for line in new[2:]}
    if old[0] != head[0]:
        return new
    kept = [rows.pop(_row_name(line), line) for line in old[2:]]
    return [*head, *kept, *rows.values()]


# @impl ATL-LLR-TOOL-0083~2
def with_tables(document, everything, aims, is_all=True):
    """The text of docs/BENCHMARKS.md with the tables between its two marks made anew; is_all: everything was measured, else what
    was not stays."""
    if len(re.findall(re.escape(BEGIN), document)) != 1 or END not in document.split(BEGIN)[1]:
        raise ToolError(f"{DOCUMENT} has not its marks", f"put {BEGIN.strip()} and {END.strip()} there")
    before, rest = document.split(BEGIN)
    old, after = rest.split(END, 1)
    tables = {} if is_all else _old_tables(old)
    for title, results in by_metric(everything).items():
        new = _document_table(title, results, aims).splitlines()
        tables[title] = _merged(tables[title], new) if title in tables else new
    return before + BEGIN + "\n\n".join("\n".join(lines) for lines in tables.values()) + "\n" + END + after


def write_document(everything, is_all):
    """is_all: everything was measured. The plot is of all or stays."""
    aims = tomllib.loads(AIMS.read_text())
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(), everything, aims, is_all))
    if is_all:
        PLOT.write_text(plot(everything))
