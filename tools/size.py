#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the code of the trusted kernel: lines of C and assembly that hold more than comments and
blanks, without host shims and tests. Prints a line for each folder; fails above the limit.

    size.py [FOLDER]    FOLDER instead of the repository's root"""
import collections
import pathlib
import re
import sys

LIMIT = 10000
FOLDERS = ("kernel", "percpu", "isolation")
SUFFIXES = {".c", ".h", ".S"}
LEFT_OUT = {"host", "tests", "models"}
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def code_lines(text):
    return sum(1 for line in COMMENT.sub("", text).splitlines() if line.strip())


def count(root):
    """{folder, as two components at most: lines}"""
    lines = collections.Counter()
    for top in FOLDERS:
        for path in sorted((root / top).rglob("*")):
            place = path.relative_to(root)
            if path.suffix in SUFFIXES and not LEFT_OUT.intersection(place.parts):
                lines["/".join(place.parts[:2][:len(place.parts) - 1])] += code_lines(path.read_text())
    return lines


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1])
    lines = count(root)
    for folder, number in sorted(lines.items()):
        print(f"{number:6} {folder}")
    total = sum(lines.values())
    print(f"{total:6} lines of code in the trusted kernel; the limit is {LIMIT}")
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
