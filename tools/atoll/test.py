# SPDX-License-Identifier: Apache-2.0
"""`./atoll test`: every test of the repository, cheapest first, and one last line with the counts."""
import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time

from atoll.errors import ToolError
from atoll.paths import build_directory
from atoll.testing.phases import PHASES
from atoll.testing.results import Reporter


def test_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll test", description="Runs the checks, unit tests, models, system tests and fuzz "
        "corpora. Stops behind the first part that fails. Results go to build/results.jsonl, logs of "
        "failures to build/logs.",
        epilog="Exit status 0: everything passed; 1: something failed.")
    add = parser.add_argument
    add("--full", action="store_true", help="every configuration of every test; 10 s of each fuzzer")
    add("--list", action="store_true", help="only show the names")
    add("--filter", metavar="REGEX", help="only tests whose name matches somewhere")
    add("-k", "--keep-going", action="store_true", help="run all parts even if one fails")
    add("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
        help="how many machines at a time (default %(default)s)")
    return parser


def select(phase, pattern):
    return [name for name in phase.names() if pattern is None or pattern.search(name)]


def test_command(words):
    options = test_parser().parse_args(words)
    if options.jobs < 1:
        raise ToolError("--jobs is at least 1")
    try:
        pattern = re.compile(options.filter) if options.filter else None
    except re.error as error:
        raise ToolError(f"--filter {options.filter!r}: {error}", "give a regular expression") from None
    phases = [phase(options) for phase in PHASES]
    selection = [(phase, select(phase, pattern)) for phase in phases]
    if not any(names for _, names in selection):
        raise ToolError("no test has such a name", "see ./atoll test --list")
    if options.list:
        for _, names in selection:
            for name in names:
                print(name)
        return 0
    return run_phases(selection, options)


def run_phases(selection, options):
    """Runs the phases with a folder of its own for temporary files, so that Ctrl-C need not wait for
    machines that run: QEMU ends with this process, the folder is removed."""
    # A shell starts what runs in the background with Ctrl-C ignored, which is inherited: tests of
    # Ctrl-C would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = tempfile.mkdtemp(prefix="atoll-test-")
    try:
        return record_phases(selection, options)
    except (KeyboardInterrupt, SystemExit) as end:
        print("-- interrupted", file=sys.stderr, flush=True)
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
        os._exit(end.code if isinstance(end, SystemExit) else 130)
    finally:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
        tempfile.tempdir = None


def record_phases(selection, options):
    reporter = Reporter(build_directory())
    started = time.monotonic()
    try:
        for phase, names in selection:
            if not names:
                continue
            print(f"-- {phase.title} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
            phase.run(names, reporter)
            if reporter.failed and not options.keep_going:
                print("-- stopped behind this part; all of them: ./atoll test -k", file=sys.stderr)
                break
    finally:
        reporter.close()
    if reporter.passed + reporter.failed == 0:
        reporter.failed = 1  # a run that tested nothing is not green
    print(reporter.summary(), flush=True)
    return 1 if reporter.failed else 0
