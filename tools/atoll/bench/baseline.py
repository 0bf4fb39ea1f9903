# SPDX-License-Identifier: Apache-2.0
"""The figures that must not grow unnoticed, where they repeat: kept in bench/baseline.toml. Who makes one grow by more
than a twentieth changes that file in the same commit, and says why there."""
import tomllib

from atoll.bench.jobs import job_of
from atoll.bench.measure import Options, median_of_runs
from atoll.errors import ToolError
from atoll.paths import ROOT

FILE = ROOT / "bench" / "baseline.toml"
NAMES = ("gate", "operations", "request", "boot")
SYSTEMS = ("atoll-ring0", "atoll-ring3")
GROWTH_MAX = 0.05
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# Guest instructions for one operation, on two cores where nothing else is said. `./atoll bench --check` (a part of
# ./atoll test) fails where a figure has grown by more than 5 %; `./atoll bench --accept` writes this file anew.
#
# The clock of the machine goes by its instructions, and its cores take turns in one thread of QEMU: so all these
# figures repeat to within some ten instructions of a whole run, those of two cores and the boots too. They are not those of
# docs/BENCHMARKS.md, where cores run side by side: how often one finds the other asleep depends on that. A boot waits
# for clocks, which are of another length here.
#
# Not here, because they do not repeat: whatever comes by a network device. How many requests share a wake-up is the load
# of this machine (8,400 to 11,000 for one under wrk); a client that waits for each answer pays 11,300 to 13,500, because
# QEMU's device works in a thread of its own and finds the core awake or idle. Nor SQLite and Lua, whose instructions are
# the program's own, nor any time.
"""


# @impl ATL-LLR-TOOL-1240~1
def measure_figures(say):
    """{system: {operation: instructions}}."""
    jobs = [job_of(name) for name in NAMES]
    return {system: {operation: round(figure.value) for job in jobs for operation, figure in
                     median_of_runs(system, job, Options(is_counted=True), say).items()}
            for system in SYSTEMS}


def accept(say):
    tables = (f"\n[{system}]\n" + "".join(f'"{name}" = {value}\n' for name, value in rows.items())
              for system, rows in measure_figures(say).items())
    FILE.write_text(HEAD + "".join(tables))


# @impl ATL-LLR-TOOL-0080~1
def differences(accepted, figures):
    """Lines about figures that grew too much, are new, or are gone: each a reason to fail."""
    lines = []
    for system in sorted({*accepted, *figures}):
        old, new = accepted.get(system, {}), figures.get(system, {})
        for name in sorted({*old, *new}):
            if name not in new:
                lines.append(f"{system}: {name}: {old[name]:,} before, not measured now")
            elif name not in old:
                lines.append(f"{system}: {name}: {new[name]:,} now, not in the file")
            elif new[name] > old[name] * (1 + GROWTH_MAX):
                lines.append(f"{system}: {name}: {old[name]:,} before, {new[name]:,} now "
                             f"(+{100 * (new[name] / old[name] - 1):.1f} %)")
    return lines


def check(say):
    try:
        accepted = tomllib.loads(FILE.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ToolError(f"{FILE}: {error}", "make it: ./atoll bench --accept") from None
    lines = differences(accepted, measure_figures(say))
    if lines:
        raise ToolError("figures that are not as accepted:\n  " + "\n  ".join(lines),
                        "make it faster, or accept it in this commit: ./atoll bench --accept")
