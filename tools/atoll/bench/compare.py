# SPDX-License-Identifier: Apache-2.0
"""`./atoll bench --compare REV`: the same programs on another revision of Atoll, built by its own
tool from a work tree of its own in the build folder."""
import json
import os
import shutil
import subprocess

from atoll.bench.figure import Figure
from atoll.build import locked, lwip_arguments
from atoll.errors import ToolError
from atoll.paths import ROOT, build_directory

PROGRAMS = "bench/programs"
COMMAND = "tools/atoll/bench/command.py"
# Where code lies moves what depends on it by less.
GROWTH_MAX = 0.01


def _git(*words):
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(f"git {' '.join(words)} failed:\n{done.stderr.strip()}",
                        "give a revision that `git log` knows")
    return done.stdout.strip()


class Revision:
    """A work tree of another revision, with the programs of this one: a figure then tells of Atoll alone."""

    def __init__(self, name, say):
        self._commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") or name
        self._folder = build_directory() / "bench" / "revisions" / self._commit[:12]
        self._tree, self._say = self._folder / "tree", say
        with locked(self._folder):
            if not (self._tree / "atoll").exists():
                say(f"checking {self._commit[:12]} out")
                _git("worktree", "prune")
                _git("worktree", "add", "--detach", "--force", str(self._tree), self._commit)
            shutil.rmtree(self._tree / PROGRAMS, ignore_errors=True)
            shutil.copytree(ROOT / PROGRAMS, self._tree / PROGRAMS)

    def can_count(self):
        """Whether its tool has --counted; if not, neither side uses it."""
        return '"--counted"' in (self._tree / COMMAND).read_text()

    def measure(self, name, systems, options):
        """{system: {operation: Figure}} of one program; None, with its tool's own message, if that cannot."""
        words = [str(self._tree / "atoll"), "bench", "--program", name, "--no-linux", "--cores", str(options.cores),
                 "--runs", str(options.runs), *(["--counted"] if options.is_counted else [])]
        words += [word for system in systems for word in ("--system", system)]
        # What has been fetched for this revision is the same for that one.
        fetched = {"ATOLL_LWIP_SOURCE": word.partition("=")[2] for word in lwip_arguments(False)}
        with locked(self._folder):
            self._say(f"{name} on {self._commit[:12]}")
            numbers = self._folder / "numbers.json"
            done = subprocess.run([*words, "--json", str(numbers)], stdout=subprocess.DEVNULL,
                                  env={**os.environ, **fetched, "ATOLL_BUILD_DIR": str(self._folder / "build")})
            return None if done.returncode != 0 else figures_of(json.loads(numbers.read_text())["rows"])


# @impl ATL-LLR-TOOL-1243~1
def figures_of(rows):
    """{system: {operation: Figure}} of what --json wrote, of an older tool's too."""
    results = {}
    for row in rows:
        figure = Figure(row["value"], row.get("nanoseconds"), row.get("lowest"), row.get("highest"))
        results.setdefault(row["system"], {})[row["operation"]] = figure
    return results


# @impl ATL-LLR-TOOL-0081~1
def changes(before, now):
    """[(program, system, operation, Figure before, now)] of the costs that both have, largest growth first."""
    rows = [(program, system, name, old, now[program][system][name])
            for program, systems in before.items() for system, operations in systems.items()
            for name, old in operations.items()
            if name in now.get(program, {}).get(system, {}) and old.nanoseconds is not None]
    return sorted(rows, key=lambda row: row[4].value / row[3].value if row[3].value else 1.0, reverse=True)


# @impl ATL-LLR-TOOL-1243~1
def is_regression(old, new):
    """It costs more, and every run of now costs more than any of before."""
    return new.value > old.value * (1 + GROWTH_MAX) and new.bounds()[0] > old.bounds()[1]


# @impl ATL-LLR-TOOL-1243~1
def show_changes(revision, rows):
    """How many cost more now; each of them is marked."""
    print(f"\nagainst {revision}: guest instructions for one operation\n")
    print(f"{'':60}{'before':>14}{'now':>14}{'change':>10}")
    count = 0
    for program, system, name, old, new in rows:
        change = f"{100 * (new.value / old.value - 1):+.1f} %" if old.value else "-"
        mark = "  costs more" if is_regression(old, new) else ""
        count += bool(mark)
        print(f"{f'{name} ({system})':60}{old.value:>14,.0f}{new.value:>14,.0f}{change:>10}{mark}")
    print(f"\n{count} of {len(rows)} figures cost more than at {revision}")
    return count
