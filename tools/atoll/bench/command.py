# SPDX-License-Identifier: Apache-2.0
"""The command line of `./atoll bench`."""
import argparse
import json
import os
import pathlib

from atoll.bench import baseline, compare, page
from atoll.bench.jobs import BOOT, job_of, known_jobs
from atoll.bench.many import show_many
from atoll.bench.measure import SYSTEMS, Options, median_of_runs, number_of_runs
from atoll.bench.profile import show_profile
from atoll.bench.steps import Steps
from atoll.bench.surroundings import linux_surroundings, surroundings_text
from atoll.errors import ToolError
from atoll.options import core_count

RUNS = 3


def bench_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll bench", description="Counts guest instructions for each operation of the programs "
        "in bench, on Atoll in both rings and on Linux (Debian's cloud kernel), under the "
        "same QEMU.")
    add = parser.add_argument
    add("--program", action="append", metavar="NAME", help="only this program; may be repeated")
    add("--system", action="append", choices=SYSTEMS, help="only this system; may be repeated")
    add("--no-linux", action="store_true", help="leave Linux out: nothing is downloaded")
    add("--cores", type=core_count, default=2, metavar="N", help="cores (default 2)")
    add("--runs", type=int, default=RUNS, metavar="N", help="median, lowest and highest of N runs (default %(default)s; of a "
                                                            "boot 5 at least)")
    add("--counted", action="store_true", help="machines whose clock goes by their instructions: figures repeat exactly but "
                                               "for those of servers, times say nothing; Linux is left out")
    add("--json", metavar="FILE", help="also write the numbers to FILE")
    add("--page", metavar="FILE", help="also write a page of tables and plots to FILE (HTML)")
    add("--document", action="store_true", help="also put the tables into docs/BENCHMARKS.md; those of programs that "
                                                  "were not measured stay there, and the plot if any was not")
    add("--compare", metavar="REV", help="also measure another revision of this repository, --counted where it can, and show "
                                         "what changed; exit status 1 if something costs more; Linux is left out")
    add("--check", action="store_true", help="only compare the figures that repeat with "
                                             "bench/baseline.toml; exit status 1 if one grew by over 5 %%")
    add("--accept", action="store_true", help="only write bench/baseline.toml anew")
    add("--many", type=int, metavar="N", help="only N machines at once: their memory on this machine")
    add("--profile", action="store_true", help="only where the instructions of a request to the web server go, by "
                                               "function, in ring 3 unless --system says 0")
    add("--kernel", metavar="FILE", help=argparse.SUPPRESS)
    add("--posix", metavar="FILE", help=argparse.SUPPRESS)
    return parser


def number_text(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _cell(figure):
    """Medians, and what was lowest and highest where it differs."""
    if figure is None:
        return "-"
    text = number_text(figure.value) + _range(figure.spread(), 1)
    return text if figure.nanoseconds is None else (
        f"{text} ({number_text(figure.nanoseconds / 1000)}{_range(figure.spread_of_time(), 1000)} us)")


def _range(spread, unit):
    return "" if spread is None else " " + "..".join(number_text(value / unit) for value in spread)


def show(program, results):
    """One table: a row for each operation, instructions (and microseconds) for each system."""
    names = list(dict.fromkeys(name for result in results.values() for name in result))
    print(f"\n{program}: guest instructions for one operation, lowest..highest (microseconds in this emulator)\n")
    rows = [[_cell(result.get(name)) for result in results.values()] for name in names]
    widths = [max(map(len, column)) for column in zip(*rows, results)]
    first = max(map(len, names), default=0)
    for name, cells in [("", results), *zip(names, rows)]:
        print(f"{name:{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths)))


def bench_command(words):
    arguments = bench_parser().parse_args(words)
    if arguments.runs < 1:
        raise ToolError("--runs is at least 1")
    if arguments.many is not None:
        if arguments.many < 1:
            raise ToolError("--many is at least 1")
        show_many(arguments.many, arguments.kernel, arguments.posix)
        return 0
    if arguments.profile:
        show_profile((arguments.system or ["atoll-ring3"])[0], Options(), arguments.cores)
        return 0
    known = known_jobs()
    for name in arguments.program or []:
        if name not in known:
            raise ToolError(f"no program {name!r} in bench", f"there are: {', '.join(known)}")
    if arguments.check or arguments.accept:
        (baseline.check if arguments.check else baseline.accept)(Steps())
        return 0
    names = arguments.program or known
    return _compare(arguments, names) if arguments.compare else _measure_all(arguments, names)


def _options(arguments, is_counted):
    return Options(arguments.cores, arguments.runs, arguments.kernel, arguments.posix, is_counted)


# @impl ATL-LLR-TOOL-1243~1
def _compare(arguments, names):
    """Exit status: 1 if something costs more now."""
    systems = arguments.system or [system for system in SYSTEMS if system != "linux"]
    revision = compare.Revision(arguments.compare, Steps())
    options = _options(arguments, arguments.counted or revision.can_count())
    now = _measure(names, options, lambda name: systems)
    found = {name: revision.measure(name, systems, options) for name in names}
    before = {name: results for name, results in found.items() if results is not None}
    if not before:
        raise ToolError(f"{arguments.compare} measures nothing of {', '.join(names)}", "its own messages are above")
    if missing := [name for name in names if name not in before]:
        print(f"\n{arguments.compare} cannot measure {', '.join(missing)}")
    if arguments.json:
        _write(arguments.json, _json(now))
    return 1 if compare.show_changes(arguments.compare, compare.changes(before, now)) else 0


def _measure(names, options, systems_of):
    """{program: {system: {operation: Figure}}}, each shown when it is there."""
    jobs = {name: job_of(name) for name in names}
    say = Steps(sum(len(systems_of(name)) * number_of_runs(job, options) for name, job in jobs.items()))
    everything = {}
    for name, job in jobs.items():
        everything[name] = {system: median_of_runs(system, job, options, say) for system in systems_of(name)}
        show(name, everything[name])
    return everything


def _measure_all(arguments, names):
    no_linux = arguments.no_linux or arguments.counted
    systems = arguments.system or [s for s in SYSTEMS if not (no_linux and s == "linux")]
    options = _options(arguments, arguments.counted)
    linux = ""
    if "linux" in systems:
        linux = surroundings_text(linux_surroundings(options))
        print(f"Linux guest: {linux}")
    everything = _measure(names, options, lambda name: _systems(name, systems, arguments))
    if arguments.json:
        _write(arguments.json, _json(everything))
    if arguments.document:
        page.write_document(everything, not arguments.program and not arguments.system and not no_linux)
    if arguments.page:
        _write(arguments.page, page.html_page(everything, arguments.cores, linux))
    return 0


def _systems(name, systems, arguments):
    """The bare image belongs to the boot, unless somebody names systems."""
    return ["bare", *systems] if name == BOOT and not arguments.system else systems


def _json(everything):
    rows = [{"program": program, "system": system, "operation": operation} | _numbers(figure)
            for program, systems in everything.items() for system, result in systems.items()
            for operation, figure in result.items()]
    return json.dumps({"host_cores": os.cpu_count(), "rows": rows}, indent=1) + "\n"


def _numbers(figure):
    values = {"value": figure.value, "lowest": figure.lowest, "highest": figure.highest, "nanoseconds": figure.nanoseconds,
              "quickest": figure.quickest, "slowest": figure.slowest}
    return {name: round(value, 1) for name, value in values.items() if value is not None}


def _write(path, text):
    try:
        pathlib.Path(path).write_text(text)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give a path that can be written") from None
