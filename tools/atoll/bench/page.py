# SPDX-License-Identifier: Apache-2.0
"""The numbers to look at: a page that needs nothing else, and the tables and the plot of
docs/BENCHMARKS.md."""
import html
import platform
import re
import tomllib

from atoll.bench.network import METRICS, SERVERS
from atoll.bench.plot import COLOURS, NAMESPACE, bars, milliseconds, plots, times_cheaper
from atoll.errors import ToolError
from atoll.paths import ROOT

DOCUMENT = ROOT / "docs" / "BENCHMARKS.md"
AIMS = ROOT / "bench" / "aims.toml"
BARE = "times the bare image"  # the table of aims for what a boot takes
BEGIN, END = "<!-- ./atoll bench --document: begin -->\n", "<!-- end -->\n"
TITLES = {"bare": "Bare image", "atoll-ring0": "Ring 0", "atoll-ring3": "Ring 3", "linux": "Linux"}

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em;
       color: #1c1c1c; background: #fff }
table { border-collapse: collapse; margin: 0.5em 0 2em }
th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left; white-space: normal }
td.bars { text-align: left }
small { color: #666 }
"""


def _number(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _cell(figure):
    if figure is None:
        return "<td>-</td>"
    time = "" if figure.nanoseconds is None else (
        f"<br><small>{_number(figure.nanoseconds / 1000)}{_small(figure.spread_of_time(), 1000)} us</small>")
    spread = figure.spread() and f"<br><small>{_small(figure.spread(), 1)}</small>"
    return f"<td>{figure.value:,.0f}{spread or ''}{time}</td>"


def _small(spread, unit):
    return "" if spread is None else f" {_number(spread[0] / unit)}..{_number(spread[1] / unit)}"


def _table(program, results):
    systems = list(results)
    names = dict.fromkeys(name for result in results.values() for name in result)
    head = "".join(f'<th style="color:{COLOURS[s]}">{s}</th>' for s in systems)
    lines = []
    for name in names:
        cells = "".join(_cell(results[s].get(name)) for s in systems)
        drawn = bars([(s, results[s][name]) for s in systems if name in results[s]])
        lines.append(f'<tr><td>{html.escape(name)}</td>{cells}<td class="bars">{drawn}</td></tr>')
    return (f"<h2>{html.escape(program)}</h2>\n<table>\n<tr><th></th>{head}<th></th></tr>\n"
            + "\n".join(lines) + "\n</table>\n")


# @impl ATL-LLR-TOOL-0082~1
def html_page(everything, cores, linux=""):
    """The page of {program: {system: {operation: Figure}}}. linux: what its guest says of itself."""
    tables = "".join(_table(program, results) for program, results in everything.items())
    drawn = "".join(f"<p>{text.replace(NAMESPACE, '')}</p>\n" for text in plots(everything, True).values())
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Atoll: guest '
            f"instructions</title>\n<style>{STYLE}</style></head><body>\n<h1>Guest instructions for one "
            f"operation</h1>\n<p>Summed over {cores} cores, counted by a plugin of QEMU's TCG on "
            f"{html.escape(platform.platform())}. Below a number: the time in this emulator, which says "
            "little. Both are medians, with the lowest and the highest of several runs where they differ by a hundredth. Bars "
            "of one row share a scale, with a line from lowest to highest.</p>\n"
            f"<p>{html.escape(f'Linux guest: {linux}') if linux else ''}</p>\n{drawn}{tables}</body></html>\n")


def _text(figure):
    return "-" if figure is None else _number(figure.value) + _range(figure.spread())


# @impl ATL-LLR-TOOL-1241~1
def _range(spread):
    return "" if spread is None else f" ({_number(spread[0])} to {_number(spread[1])})"


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
        reached, cheaper = results.get("atoll-ring3", {}).get(name), times_cheaper(results, name)
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {f'{cheaper:,.1f}' if cheaper else ''} "
                     + _verdict(aims.get(f"{name}: {metric}" if metric else name), reached and round(reached.value)))
    if program == "boot":
        lines += _times(results, systems, names, aims.get(BARE, {}))
    return "\n".join(lines) + "\n"


# @impl ATL-LLR-TOOL-1040~1
def _times(results, systems, names, aims):
    """Rows of milliseconds: a boot is waited for. aims: how many times the bare image's time, which is what machine and
    firmware take, it shall take at most."""
    rows = []
    for name in names:
        times = {s: milliseconds(results[s][name]) for s in systems if name in results[s]}
        ours, bare, theirs = (times[s].value if s in times else None for s in ("atoll-ring3", "bare", "linux"))
        aim = aims[name] * bare if bare and name in aims else None
        cells = [_number(round(times[s].value)) + _range(times[s].spread()) if s in times else "-" for s in systems]
        rows.append(f"| {name}: milliseconds to the first output | " + " | ".join(cells)
                    + f" | {f'{theirs / ours:,.1f}' if ours and theirs else ''} " + _verdict(aim, ours))
    return rows


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
    """is_all: everything was measured. A plot is made anew if all that it shows was measured, else it stays."""
    aims = tomllib.loads(AIMS.read_text())
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(), everything, aims, is_all))
    for name, text in plots(everything, is_all).items():
        (DOCUMENT.parent / name).write_text(text)
