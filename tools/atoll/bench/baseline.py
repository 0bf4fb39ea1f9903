# SPDX-License-Identifier: Apache-2.0
"""The figures that must not grow unnoticed: instructions of the basic operations on one core, where
they repeat exactly, kept in bench/baseline.toml. Who makes one grow by more than a twentieth changes
that file in the same commit, and says why there."""
import tomllib

from atoll.bench.measure import Options, make_job, median_of_runs
from atoll.errors import ToolError
from atoll.paths import ROOT

FILE = ROOT / "bench" / "baseline.toml"
PROGRAMS = ("gate", "operations")
SYSTEMS = ("atoll-ring0", "atoll-ring3")
GROWTH_MAX = 0.05
HEAD = """\
# SPDX-License-Identifier: Apache-2.0
# Guest instructions for one operation on one core. `./atoll bench --check` (a part of ./atoll test) fails
# where a figure has grown by more than 5 %; `./atoll bench --accept` writes this file anew.
"""


def measure_figures(say):
    """{system: {operation: instructions}}."""
    jobs = [make_job(name) for name in PROGRAMS]
    return {system: {operation: round(row[0]) for job in jobs
                     for operation, row in median_of_runs(system, job, Options(cores=1), say).items()}
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
