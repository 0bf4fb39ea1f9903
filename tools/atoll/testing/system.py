# SPDX-License-Identifier: Apache-2.0
"""Finds the system tests, chooses their configurations, and runs them some at a time."""
import concurrent.futures
import importlib
import sys
import time
import traceback

from atoll.errors import ToolError
from atoll.paths import ROOT
from atoll.testing.pairwise import each, full, pairwise
from atoll.testing.parts import frozen_parts
from atoll.testing.results import TestFailure

FOLDER = ROOT / "tests" / "system"


def load():
    """Every registered test, those of a file in the order of lines."""
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    import lib
    lib.registered.clear()
    names = sorted(path.stem for path in FOLDER.glob("test_*.py"))
    for name in names:
        sys.modules.pop(name, None)
    for name in names:  # one may import another
        importlib.import_module(name)
    return list(lib.registered)


def configurations(test, want_full):
    """The configurations of a test, as dictionaries."""
    axes = dict(test.axes)
    if not axes:
        return [{}]
    if test.matrix == "full only" and not want_full:
        return []
    if want_full:
        return full(axes)
    if test.matrix == "one":
        return full(axes)[:1]
    return {"pairwise": pairwise, "each": each}.get(test.matrix, full)(axes)


def cases(want_full):
    """{full name: (test, configuration)}."""
    found = {}
    tests = load()
    sys.modules["lib"].Guest.is_full = want_full
    for test in tests:
        for row in configurations(test, want_full):
            label = ",".join(f"{k}={v}" for k, v in row.items())
            name = f"{test.name}[{label}]" if label else test.name
            if name in found:
                raise ToolError(f"two system tests are called {name}", "rename one")
            found[name] = (test, row)
    return found


def run_cases(selected, reporter, jobs):
    """Runs cases, `jobs` at a time."""
    if any(row for _, row in selected.values()):
        frozen_parts()
    pool = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        for future in [pool.submit(run_case, name, test, row, reporter)
                       for name, (test, row) in selected.items()]:
            future.result()
    finally:
        # After Ctrl-C nobody waits for what still runs.
        pool.shutdown(wait=False, cancel_futures=True)


def run_case(name, test, row, reporter):
    import lib
    guest = lib.Guest(test, row)
    started = time.monotonic()
    try:
        test.function(guest)
    except TestFailure as failure:
        log = f"{failure.log}\n{failure}\n" if str(failure) not in failure.log else failure.log
        reporter.fails(name, time.monotonic() - started, log, **guest.facts)
    except Exception:  # a bug of the test is a failed test, not the end of the run
        reporter.fails(name, time.monotonic() - started, traceback.format_exc(), **guest.facts)
    else:
        reporter.passes(name, time.monotonic() - started, **guest.facts)
