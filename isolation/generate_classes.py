#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the audit's table of mapping classes from isolation/mapping_classes.toml."""
import argparse
import pathlib
import sys
import tomllib

RIGHTS = {"none": "0", "R": "GATE_READ", "RX": "GATE_READ | GATE_EXECUTE",
          "RW": "GATE_READ | GATE_WRITE", "user": "AUDIT_AS_ASKED"}
HALVES = {"kernel": "false", "user": "true"}
KEYS = {"name", "half", "frames", "rights", "writer"}
FRAMES = {"none", "linear", "direct", "own", "slot"}
NOTE = "Generated from isolation/mapping_classes.toml by isolation/generate_classes.py; do not edit."


def load(path):
    """The classes; exits with a message if the file breaks a rule."""
    classes = tomllib.loads(path.read_text())["class"]
    seen = set()
    for entry in classes:
        if set(entry) != KEYS:
            sys.exit(f"{path}: class {entry.get('name')!r} must have exactly the keys {sorted(KEYS)}")
        if entry["name"] in seen:
            sys.exit(f"{path}: class {entry['name']!r} is there twice")
        if (entry["rights"] not in RIGHTS or entry["half"] not in HALVES
                or entry["frames"] not in FRAMES):
            sys.exit(f"{path}: class {entry['name']!r} has unknown rights, frames or an unknown half")
        seen.add(entry["name"])
    return classes


def table(classes):
    lines = [f"/* {NOTE}", " * AUDIT_CLASS(name, is_user, frames, rights) */"]
    lines += [f"AUDIT_CLASS({c['name']}, {HALVES[c['half']]}, AUDIT_FRAMES_{c['frames'].upper()}, "
              f"{RIGHTS[c['rights']]})" for c in classes]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(table(load(arguments.source)))


if __name__ == "__main__":
    main()
