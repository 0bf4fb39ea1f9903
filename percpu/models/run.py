#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the Spin models: the design must hold, and each mutation of it must be found.

Prints `PASS name` or `FAIL name` for each check; exit status 1 if one failed."""

import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_MAX = 240

# (name, model, definitions, must hold)
CHECKS = [
    ("rings", "credits_wakeup", ["RINGS"], True),
    ("rings-two-credits", "credits_wakeup", ["RINGS", "CREDITS=2", "REQUESTS_0=3", "REQUESTS_1=1"], True),
    ("rings-mutant-no-credit", "credits_wakeup", ["RINGS", "MUTATE_NO_CREDIT"], False),
    ("rings-mutant-credit-early", "credits_wakeup", ["RINGS", "MUTATE_CREDIT_EARLY"], False),
    ("rings-mutant-head-first", "credits_wakeup", ["RINGS", "MUTATE_HEAD_FIRST"], False),
    ("rings-mutant-no-sleep-fence", "credits_wakeup", ["RINGS", "MUTATE_NO_SLEEP_FENCE"], False),
    ("rings-mutant-no-send-fence", "credits_wakeup", ["RINGS", "MUTATE_NO_SEND_FENCE"], False),
    ("rings-mutant-interrupt-ignored", "credits_wakeup",
     ["RINGS", "MUTATE_INTERRUPT_IGNORED"], False),
    ("signals", "credits_wakeup", ["SIGNALS"], True),
    ("signals-mutant-no-sleep-fence", "credits_wakeup", ["SIGNALS", "MUTATE_NO_SLEEP_FENCE"], False),
    ("signals-mutant-no-send-fence", "credits_wakeup", ["SIGNALS", "MUTATE_NO_SEND_FENCE"], False),
    ("signals-mutant-no-leaf-fence", "credits_wakeup", ["SIGNALS", "MUTATE_NO_LEAF_FENCE"], False),
    ("signals-mutant-no-group-fence", "credits_wakeup", ["SIGNALS", "MUTATE_NO_GROUP_FENCE"], False),
    ("signals-mutant-no-leaf-seen-fence", "credits_wakeup",
     ["SIGNALS", "MUTATE_NO_LEAF_SEEN_FENCE"], False),
    ("signals-mutant-no-group-seen-fence", "credits_wakeup",
     ["SIGNALS", "MUTATE_NO_GROUP_SEEN_FENCE"], False),
    ("signals-mutant-interrupt-ignored", "credits_wakeup",
     ["SIGNALS", "MUTATE_INTERRUPT_IGNORED"], False),
    ("invalidation", "invalidation", [], True),
    ("invalidation-mutant-no-clear-fence", "invalidation", ["MUTATE_NO_CLEAR_FENCE"], False),
    ("invalidation-mutant-no-publish-fence", "invalidation", ["MUTATE_NO_PUBLISH_FENCE"], False),
    ("invalidation-mutant-flush-first", "invalidation", ["MUTATE_FLUSH_FIRST"], False),
    ("invalidation-mutant-no-flush", "invalidation", ["MUTATE_NO_FLUSH"], False),
    ("invalidation-mutant-reuse-early", "invalidation", ["MUTATE_REUSE_EARLY"], False),
    ("invalidation-mutant-idle-in-root", "invalidation", ["MUTATE_IDLE_IN_ROOT"], False),
    ("neighbour", "neighbour", [], True),
    ("neighbour-mutant-life-read-once", "neighbour", ["MUTATE_LIFE_READ_ONCE"], False),
    ("neighbour-mutant-no-second-look", "neighbour", ["MUTATE_NO_SECOND_LOOK"], False),
    ("neighbour-mutant-one-sided-link", "neighbour", ["MUTATE_ONE_SIDED_LINK"], False),
    ("neighbour-mutant-head-first", "neighbour", ["MUTATE_HEAD_FIRST"], False),
    ("neighbour-mutant-end-unchecked", "neighbour", ["MUTATE_END_UNCHECKED"], False),
    ("neighbour-mutant-end-after-head", "neighbour", ["MUTATE_END_AFTER_HEAD"], False),
    ("network", "network", [], True),
    ("network-two-cores", "network", ["CORES=2", "BREAKS=3"], True),
    ("network-mutant-no-wait", "network", ["MUTATE_NO_WAIT"], False),
    ("network-mutant-stop-late", "network", ["MUTATE_STOP_LATE", "BREAKS=2"], False),
    ("network-mutant-not-told", "network", ["MUTATE_NOT_TOLD"], False),
    ("network-mutant-give-while-stopped", "network", ["MUTATE_GIVE_WHILE_STOPPED"], False),
    ("neighbour_bell", "neighbour_bell", [], True),
    ("neighbour_bell-mutant-ring-without-fence", "neighbour_bell", ["MUTATE_RING_WITHOUT_FENCE"], False),
    ("neighbour_bell-mutant-ask-without-fence", "neighbour_bell", ["MUTATE_ASK_WITHOUT_FENCE"], False),
    ("neighbour_bell-mutant-ask-without-look", "neighbour_bell", ["MUTATE_ASK_WITHOUT_LOOK"], False),
]


def run(command, directory):
    return subprocess.run(command, cwd=directory, capture_output=True, text=True,
                          timeout=SECONDS_MAX, check=False)


def verify(model, definitions, must_hold, directory):
    """Returns (errors, states); errors is None if the tools themselves failed."""
    flags = ["-D" + definition for definition in definitions]
    source = os.path.join(HERE, model + ".pml")
    made = run(["spin", "-a", *flags, source], directory)
    if made.returncode != 0 or "Error" in made.stdout + made.stderr:
        print(made.stdout + made.stderr)
        return None, 0
    built = run(["gcc", "-O2" if must_hold else "-O0", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-DMEMLIM=2048",
                 "-o", "pan", "pan.c"], directory)
    if built.returncode != 0:
        print(built.stderr)
        return None, 0
    checked = run(["./pan", "-m200000", "-w22", "-n"], directory)
    errors = re.search(r"errors:\s*(\d+)", checked.stdout)
    states = re.search(r"([\d.e+]+) states, stored", checked.stdout)
    if not errors or "max search depth too small" in checked.stdout:
        print(checked.stdout + checked.stderr)
        return None, 0
    return int(errors.group(1)), int(float(states.group(1))) if states else 0


def main():
    wanted = sys.argv[1:]
    failed = 0
    for name, model, definitions, must_hold in CHECKS:
        if wanted and not any(name.startswith(prefix) for prefix in wanted):
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="atoll-spin-") as directory:
            try:
                errors, states = verify(model, definitions, must_hold, directory)
            except subprocess.TimeoutExpired:
                errors, states = None, 0
        passed = errors is not None and (errors == 0) == must_hold
        failed += not passed
        print(f"{'PASS' if passed else 'FAIL'} {name} "
              f"({states} states, {time.monotonic() - start:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
