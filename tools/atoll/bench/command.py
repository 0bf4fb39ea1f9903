# SPDX-License-Identifier: Apache-2.0
"""The command line of `./atoll bench`."""
import argparse
import json
import os
import pathlib
import sys

from atoll.bench import baseline, compare, page
from atoll.bench.boot import make_boot_job
from atoll.bench.many import show_many
from atoll.bench.measure import SYSTEMS, Options, job_names, make_job, median_of_runs
from atoll.bench.network import SERVERS, make_network_job
from atoll.bench.profile import show_profile
from atoll.bench.surroundings import linux_surroundings, surroundings_text
from atoll.errors import ToolError
from atoll.options import core_count

BOOT = "boot"


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
    add("--runs", type=int, default=1, metavar="N", help="median of N runs (default 1)")
    add("--json", metavar="FILE", help="also write the numbers to FILE")
    add("--page", metavar="FILE", help="also write a page of tables and plots to FILE (HTML)")
    add("--document", action="store_true", help="also put the tables into docs/BENCHMARKS.md; those of programs that "
                                                  "were not measured stay there, and the plot if any was not")
    add("--compare", metavar="REV", help="also measure another revision of this repository, and show "
                                         "what changed; Linux is left out")
    add("--check", action="store_true", help="only compare the figures of one core with "
                                             "bench/baseline.toml; exit status 1 if one grew by over 5 %%")
    add("--accept", action="store_true", help="only write bench/baseline.toml anew")
    add("--many", type=int, metavar="N", help="only N machines at once: their memory on this machine")
    add("--profile", action="store_true", help="only where the instructions of a request to the web server go, by "
                                               "function, in ring 3 unless --system says 0")
    add("--kernel", metavar="FILE", help=argparse.SUPPRESS)
    add("--posix", metavar="FILE", help=argparse.SUPPRESS)
    return parser


class Steps:
    """One line for each step, with how many there are."""

    def __init__(self, total=None):
        self._total, self._done = total, 0

    def __call__(self, text):
        self._done += 1
        place = f"{self._done}/{self._total}: " if self._total else ""
        print(f"-- {place}{text}", file=sys.stderr, flush=True)


def number_text(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def show(program, results):
    """One table: a row for each operation, instructions (and microseconds) for each system."""
    names = list(dict.fromkeys(name for result in results.values() for name in result))
    print(f"\n{program}: guest instructions for one operation (microseconds in this emulator)\n")
    width = max(map(len, names), default=0) + 1
    print(" " * width + "".join(f"{system:>24}" for system in results))
    for name in names:
        cells = []
        for result in results.values():
            row = result.get(name)
            cells.append("-" if row is None else f"{row[0]:,}" if row[1] is None else
                         f"{number_text(row[0])} ({number_text(row[1] / 1000)})")
        print(f"{name:{width}}" + "".join(f"{cell:>24}" for cell in cells))


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
    known = [BOOT, *SERVERS, *job_names()]
    for name in arguments.program or []:
        if name not in known:
            raise ToolError(f"no program {name!r} in bench", f"there are: {', '.join(known)}")
    if arguments.check or arguments.accept:
        (baseline.check if arguments.check else baseline.accept)(Steps())
        return 0
    return _measure_all(arguments, arguments.program or known)


def _measure_all(arguments, names):
    no_linux = arguments.no_linux or arguments.compare
    systems = arguments.system or [s for s in SYSTEMS if not (no_linux and s == "linux")]
    options = Options(arguments.cores, arguments.runs, arguments.kernel, arguments.posix)
    say = Steps(sum(len(_systems(name, systems, arguments)) for name in names) * arguments.runs)
    everything = {}
    linux = ""
    if "linux" in systems:
        linux = surroundings_text(linux_surroundings(options))
        print(f"Linux guest: {linux}")
    for name in names:
        job = make_boot_job() if name == BOOT else (make_network_job if name in SERVERS else make_job)(name)
        everything[name] = {system: median_of_runs(system, job, options, say)
                            for system in _systems(name, systems, arguments)}
        show(name, everything[name])
    if arguments.compare:
        before = compare.measure_revision(arguments.compare, [n for n in names if n != BOOT and n not in SERVERS], systems,
                                          arguments.cores, Steps())
        compare.show_changes(arguments.compare, compare.changes(before, everything))
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
    rows = [{"program": program, "system": system, "operation": operation,
             "value": round(row[0], 1), "lowest": round(row[2], 1), "highest": round(row[3], 1)}
            | ({} if row[1] is None else {"nanoseconds": round(row[1])})
            for program, systems in everything.items() for system, result in systems.items()
            for operation, row in result.items()]
    return json.dumps({"host_cores": os.cpu_count(), "rows": rows}, indent=1) + "\n"


def _write(path, text):
    try:
        pathlib.Path(path).write_text(text)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give a path that can be written") from None
