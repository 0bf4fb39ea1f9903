#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each public header alone, freestanding: a header includes what it needs. Exit status 1:
one does not."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("kernel", "percpu", "isolation", "posix", "crypto", "debug", "policy")
FLAGS = ["-std=gnu2x", "-ffreestanding", "-fsyntax-only", "-mgeneral-regs-only", "-Wall", "-Wextra",
         "-Werror", "-Wno-unused-function", "-Wno-unused-variable"]


def include_folders():
    return sorted(p for f in FOLDERS for p in (ROOT / f).rglob("include") if p.is_dir())


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as generated:
        subprocess.run([sys.executable, ROOT / "tools/gate_generate.py", ROOT / "isolation/gate/gate.toml",
                        "--out", generated], check=True)
        subprocess.run([sys.executable, ROOT / "debug/generate_trace.py", "--out",
                        pathlib.Path(generated) / "trace_events.h"], check=True)
        folders = include_folders()
        includes = [word for folder in [*folders, generated] for word in ("-I", str(folder))]
        for folder in folders:
            for header in sorted(folder.rglob("*.h")):
                line = f"#include <{header.relative_to(folder)}>\n"
                done = subprocess.run(["gcc", *FLAGS, *includes, "-x", "c", "-"], input=line * 2,
                                      capture_output=True, text=True)
                if done.returncode != 0:
                    print(f"{header.relative_to(ROOT)} does not compile alone:\n{done.stderr[:800]}")
                    failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
