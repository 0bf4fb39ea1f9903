#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares every C file with .clang-format; `--fix` rewrites what differs. Exit status 1: differs."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = {"build", ".git"}
SUFFIXES = {".c", ".h", ".cpp"}


def sources():
    return sorted(p for p in ROOT.rglob("*") if p.suffix in SUFFIXES and p.is_file()
                  and not SKIPPED & set(p.relative_to(ROOT).parts))


def main():
    files = [str(p) for p in sources()]
    mode = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "-Werror", "--ferror-limit=1"]
    done = subprocess.run(["clang-format", "--style=file", *mode, *files], capture_output=True, text=True)
    if done.returncode != 0:
        wrong = sorted({line.split(":")[0] for line in done.stderr.splitlines() if ": error:" in line})
        print("\n".join(str(pathlib.Path(w).relative_to(ROOT)) for w in wrong) or done.stderr)
        print(f"{len(wrong)} files differ from .clang-format: tools/format.py --fix")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
