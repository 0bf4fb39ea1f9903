#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that docs/GATE.md is what isolation/gate/gate.toml says. Exit status 1: it is not."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = "docs/GATE.md"


def main():
    with tempfile.TemporaryDirectory() as folder:
        fresh = pathlib.Path(folder) / "GATE.md"
        subprocess.run([sys.executable, ROOT / "tools/gate_generate.py", ROOT / "isolation/gate/gate.toml",
                        "--document", fresh], check=True)
        if fresh.read_text() == (ROOT / DOCUMENT).read_text():
            return 0
    print(f"{DOCUMENT} is out of date: tools/gate_generate.py isolation/gate/gate.toml "
          f"--document {DOCUMENT}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
