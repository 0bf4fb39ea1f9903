#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the gate's C headers and docs/GATE.md from isolation/gate/gate.toml."""
import argparse
import pathlib
import sys
import tomllib

GATE_CALLS_MAX = 16
NOTE = "Generated from isolation/gate/gate.toml by tools/gate_generate.py; do not edit."


def load(path):
    """The calls in order of their numbers; exits with a message if the file breaks a rule."""
    calls = tomllib.loads(path.read_text())["call"]
    if len(calls) > GATE_CALLS_MAX:
        sys.exit(f"{path}: {len(calls)} calls, the gate has at most {GATE_CALLS_MAX}")
    for number, call in enumerate(calls):
        if call["number"] != number:
            sys.exit(f"{path}: call {call['name']!r} has number {call['number']}, not {number}")
        if len(call["arguments"]) > 6:
            sys.exit(f"{path}: call {call['name']!r} has more than 6 arguments")
    return calls


def numbers_header(calls):
    lines = [f"/* {NOTE} */", "#ifndef ISOLATION_GATE_NUMBERS_H", "#define ISOLATION_GATE_NUMBERS_H", ""]
    lines += [f"#define GATE_{c['name'].upper()} {c['number']}u" for c in calls]
    lines += [f"#define GATE_CALL_COUNT {len(calls)}u", "", "#endif", ""]
    return "\n".join(lines)


def table(calls):
    lines = [f"/* {NOTE} GATE_CALL(number, name, argument count) */"]
    lines += [f"GATE_CALL({c['number']}, {c['name']}, {len(c['arguments'])})" for c in calls]
    return "\n".join(lines) + "\n"


def document(calls):
    lines = ["# The gate", "", f"<!-- {NOTE} -->", "",
             f"Every call that code in the application's ring may make: {len(calls)} of at most "
             f"{GATE_CALLS_MAX}. A failure is a negated errno, and then nothing was changed.", "",
             "An image may allow fewer (`gate` in atoll.toml, [IMAGES.md](IMAGES.md)). The kernel answers each "
             "other call by EPERM, whatever its arguments, in both rings. Without those marked * the library OS "
             "cannot work: an image has them all.", "",
             "| number | call | what it does | errors |", "| --- | --- | --- | --- |"]
    for c in calls:
        signature = f"`{c['name']}({', '.join(c['arguments'])})`"
        star = " *" if c.get("needed") else ""
        lines.append(f"| {c['number']} | {signature}{star} | {c['text']} | {', '.join(c['errors'])} |")
    return "\n".join(lines) + "\n"


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definition", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder for the C headers")
    parser.add_argument("--document", type=pathlib.Path, help="write the Markdown page here")
    parser.add_argument("--check", action="store_true", help="fail if --document is out of date")
    arguments = parser.parse_args()
    calls = load(arguments.definition)
    if arguments.out:
        write_if_changed(arguments.out / "isolation/gate_numbers.h", numbers_header(calls))
        write_if_changed(arguments.out / "gate_table.inc", table(calls))
        # The inputs may be newer than unchanged outputs: ninja compares times.
        for name in ("isolation/gate_numbers.h", "gate_table.inc"):
            (arguments.out / name).touch()
    if arguments.document:
        text = document(calls)
        if arguments.check:
            if not arguments.document.exists() or arguments.document.read_text() != text:
                sys.exit(f"{arguments.document} is out of date: run tools/gate_generate.py "
                         f"{arguments.definition} --document {arguments.document}")
        else:
            write_if_changed(arguments.document, text)


if __name__ == "__main__":
    main()
