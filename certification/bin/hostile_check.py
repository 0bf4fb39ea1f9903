#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Looks whether the tests that certification/hostile_host.toml names exist, and whether each row has some,
or a reason why it needs none. Exit status 1: it does not hold.

    hostile_check.py [ROOT]"""
import re
import sys
import tomllib

from check_main import run


def place_of(root, file):
    return root / file if file.startswith(("fuzz/", "percpu/")) else root / "tests" / file


def check_test(root, test):
    """What is wrong with the name of a test; None: nothing."""
    file, _, name = test.partition(":")
    path = place_of(root, file)
    if not path.is_file():
        return f"there is no {file}"
    if not name and not file.startswith(("fuzz/", "percpu/")):
        return f"{file}: which of its tests?"
    pattern = rf"^TEST\({name}\)" if path.suffix == ".c" else rf"^ *def {name}\("
    if name and not re.search(pattern, path.read_text(), re.MULTILINE):
        return f"{file} has no test {name}"
    return None


# @impl ATL-LLR-VIRTIO-0873~1
def check(root):
    """[what is wrong], and how many rows there are."""
    rows = tomllib.loads((root / "certification/hostile_host.toml").read_text())["row"]
    wrong = []
    for row in rows:
        tests, reason = row.get("tests", []), row.get("reason", "")
        if bool(tests) == bool(reason) or set(row) - {"what", "tests", "reason"}:
            wrong.append(f"{row['what']}: either tests or a reason")
        wrong += [f"{row['what']}: {problem}" for problem in (check_test(root, test) for test in tests) if problem]
    return wrong, len(rows)


if __name__ == "__main__":
    sys.exit(run(check, "hostile host: {} rows"))
