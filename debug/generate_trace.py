#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the kernel's enumeration of trace events, and their table in docs/DEBUGGING.md, from
debug/trace.toml.

    generate_trace.py --out HEADER
    generate_trace.py --document FILE [--check]"""
import argparse
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "debug/trace.toml"
FIELDS = 3
EVENTS_MAX = 31
NOTE = "Generated from debug/trace.toml by debug/generate_trace.py; do not edit."
BEGIN, END = "<!-- debug/generate_trace.py: begin -->\n", "<!-- end -->\n"


def load(path=SOURCE):
    """The events in order of their numbers; exits with a message if the file breaks a rule."""
    events = tomllib.loads(path.read_text())["event"]
    if len(events) > EVENTS_MAX:
        sys.exit(f"{path}: {len(events)} events, more than {EVENTS_MAX}")
    for number, event in enumerate(events, 1):
        if event["number"] != number:
            sys.exit(f"{path}: event {event['name']!r} has number {event['number']}, not {number}")
        if len(event["fields"]) != FIELDS:
            sys.exit(f"{path}: event {event['name']!r} must name {FIELDS} fields; \"\" is an unused one")
        for name in event.get("hexadecimal", ()):
            if name not in event["fields"]:
                sys.exit(f"{path}: event {event['name']!r} has no field {name!r}")
    return events


def header(events):
    lines = [f"/* {NOTE} */", "enum trace_event {"]
    lines += [f"    TRACE_{e['name'].upper()} = {e['number']}," for e in events]
    always = " | ".join(f"1u << {e['number']}" for e in events if e.get("always"))
    return "\n".join([*lines, "};", "", "/* Noted by every kernel; bit n: event n. */",
                      f"#define TRACE_ALWAYS ({always})", ""])


def table(events):
    lines = [f"<!-- {NOTE} -->", "", "| | event | fields | what it says |", "|---:|---|---|---|"]
    for e in events:
        star = " *" if e.get("always") else ""
        fields = ", ".join(name for name in e["fields"] if name)
        lines.append(f"| {e['number']} | `{e['name']}`{star} | {fields} | {e['text']} |")
    return "\n".join(lines) + "\n"


def document(text, events):
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(events)}{END}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--document", type=pathlib.Path)
    parser.add_argument("--check", action="store_true", help="fail if --document is out of date")
    arguments = parser.parse_args()
    events = load()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(header(events))
    if arguments.document:
        old = arguments.document.read_text()
        new = document(old, events)
        if arguments.check and new != old:
            sys.exit(f"{arguments.document} is out of date: run debug/generate_trace.py --document "
                     f"{arguments.document}")
        if new != old:
            arguments.document.write_text(new)


if __name__ == "__main__":
    main()
