# SPDX-License-Identifier: Apache-2.0
"""Programs that print `PASS name`, `FAIL name: why` or `SKIP name: why`, one line a test: models,
fuzzing, Python's unittest. Everything between two such lines belongs to the log of the next."""
import os
import re
import signal
import subprocess
import threading
import time

RESULT = re.compile(r"^(PASS|FAIL|SKIP) ([^\s:]+):? ?(.*)$")


def run_lines(command, reporter, rename, wanted, timeout_s, **options):
    """Runs the program and records what it says. `rename` gives the test's name, `wanted` is the set
    of names that must be reported; a test that is not, and a bad exit status, are failures."""
    started = last = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                               errors="replace", start_new_session=True, **options)
    timer = threading.Timer(timeout_s, _kill_group, (process,))
    timer.start()
    log, any_failed = [], False
    try:
        for line in process.stdout:
            match = RESULT.match(line)
            if not match:
                log.append(line)
                continue
            now = time.monotonic()
            any_failed |= match[1] == "FAIL"
            _record(reporter, match, rename(match[2]), now - last, log + [line], wanted)
            log, last = [], now
        process.wait()
    finally:
        timer.cancel()
        _kill_group(process)
    _record_missing(reporter, wanted, process, any_failed, log, started, timeout_s)


def _record(reporter, match, name, seconds, log, wanted):
    if wanted is not None and name not in wanted:
        return
    if match[1] == "PASS":
        reporter.passes(name, seconds)
    elif match[1] == "SKIP":
        reporter.skips(name, match[3])
    else:
        reporter.fails(name, seconds, "".join(log))


def _record_missing(reporter, wanted, process, any_failed, log, started, timeout_s):
    seconds = time.monotonic() - started
    late = seconds >= timeout_s
    why = f"no end after {timeout_s} s" if late else f"ended with status {process.returncode}"
    missing = sorted(name for name in wanted or () if not reporter.has(name))
    for name in missing:
        reporter.fails(name, seconds, "".join(log) + f"not reported: {process.args[0]} {why}\n")
    if process.returncode != 0 and not any_failed and not missing:
        name = "run/" + os.path.basename(str(process.args[0]))
        reporter.fails(name, seconds, "".join(log) + f"{' '.join(process.args)} {why}\n")


def _kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
