# SPDX-License-Identifier: Apache-2.0
"""`./atoll bench --compare REV`: the same programs on another revision of Atoll, built by its own
tool from a work tree of its own in the build folder."""
import json
import os
import shutil
import subprocess

from atoll.build import locked
from atoll.errors import ToolError
from atoll.paths import ROOT, build_directory

PROGRAMS = "bench/programs"


def _git(*words):
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError(f"git {' '.join(words)} failed:\n{done.stderr.strip()}",
                        "give a revision that `git log` knows")
    return done.stdout.strip()


def measure_revision(revision, names, systems, cores, say):
    """{program: {system: {operation: instructions}}} of another revision."""
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") or revision
    folder = build_directory() / "bench" / "revisions" / commit[:12]
    with locked(folder):
        tree = folder / "tree"
        if not (tree / "atoll").exists():
            say(f"checking {commit[:12]} out")
            _git("worktree", "prune")
            _git("worktree", "add", "--detach", "--force", str(tree), commit)
        # The same programs on both: a figure then tells of Atoll alone.
        shutil.rmtree(tree / PROGRAMS, ignore_errors=True)
        shutil.copytree(ROOT / PROGRAMS, tree / PROGRAMS)
        numbers = folder / "numbers.json"
        words = [str(tree / "atoll"), "bench", "--no-linux", "--cores", str(cores), "--json", str(numbers)]
        words += [word for name in names for word in ("--program", name)]
        words += [word for system in systems for word in ("--system", system)]
        say(f"building and measuring {commit[:12]}")
        done = subprocess.run(words, stdout=subprocess.DEVNULL,
                              env={**os.environ, "ATOLL_BUILD_DIR": str(folder / "build")})
        if done.returncode != 0:
            raise ToolError(f"./atoll bench of {commit[:12]} failed with status {done.returncode}",
                            "its own message is above")
        rows = json.loads(numbers.read_text())["rows"]
    results = {}
    for row in rows:
        operations = results.setdefault(row["program"], {}).setdefault(row["system"], {})
        operations[row["operation"]] = row["value"]
    return results


# @impl ATL-LLR-TOOL-0081~1
def changes(before, now):
    """[(program, system, operation, instructions before, now)] of what both have, largest growth
    first."""
    rows = [(program, system, name, old, now[program][system][name][0])
            for program, systems in before.items() for system, operations in systems.items()
            for name, old in operations.items()
            if name in now.get(program, {}).get(system, {})]
    return sorted(rows, key=lambda row: row[4] / row[3] if row[3] else 1.0, reverse=True)


def show_changes(revision, rows):
    print(f"\nagainst {revision}: guest instructions for one operation\n")
    print(f"{'':54}{'before':>14}{'now':>14}{'change':>10}")
    for program, system, name, old, new in rows:
        change = f"{100 * (new / old - 1):+.1f} %" if old else "-"
        print(f"{f'{name} ({system})':54}{old:>14,.0f}{new:>14,.0f}{change:>10}")
