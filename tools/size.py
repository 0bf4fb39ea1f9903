#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the trusted code: lines of C and assembly that hold more than comments and blanks, without
host shims and tests. Prints a line for each folder; fails above the limits: of the kernel, which every
image has, and of the network policy, which images with a network have beside it.

    size.py [FOLDER]    FOLDER instead of the repository's root"""
import collections
import pathlib
import re
import sys

KERNEL, KERNEL_LIMIT = ("kernel", "percpu", "isolation"), 10000
POLICY, POLICY_LIMIT = ("policy",), 300
SUFFIXES = {".c", ".h", ".S"}
LEFT_OUT = {"host", "tests", "models"}
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def code_lines(text):
    return sum(1 for line in COMMENT.sub("", text).splitlines() if line.strip())


def count(root, folders):
    """{folder, as two components at most: lines}"""
    lines = collections.Counter()
    for top in folders:
        for path in sorted((root / top).rglob("*")):
            place = path.relative_to(root)
            if path.suffix in SUFFIXES and not LEFT_OUT.intersection(place.parts):
                lines["/".join(place.parts[:2][:len(place.parts) - 1])] += code_lines(path.read_text())
    return lines


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    status = 0
    for folders, name, limit in ((POLICY, "network policy", POLICY_LIMIT), (KERNEL, "trusted kernel", KERNEL_LIMIT)):
        lines = count(root, folders)
        for folder, number in sorted(lines.items()):
            print(f"{number:6} {folder}")
        total = sum(lines.values())
        print(f"{total:6} lines of code in the {name}; the limit is {limit}")
        status |= total > limit
    return status


if __name__ == "__main__":
    sys.exit(main())
