#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the enumerations of trace events, and their table in docs/DEBUGGING.md, from debug/trace.toml.

    generate_trace.py --out HEADER                      the kernel's
    generate_trace.py --document FILE [--check]         the table of a page, or, in a header, those of posix/
                                                        and the program, between the marks there"""
import argparse
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "debug/trace.toml"
KERNEL_FIELDS = 3
KERNEL_MAX = 31     # of a mask of 32 bits
RINGS = {"kernel": range(1, KERNEL_MAX + 1), "posix": range(32, 48), "program": range(48, 64)}
OTHER_FIELDS_MAX = 4
NOTE = "Generated from debug/trace.toml by debug/generate_trace.py; do not edit."
PAGE_MARKS = "<!-- debug/generate_trace.py: begin -->\n", "<!-- end -->\n"
HEADER_MARKS = "/* debug/generate_trace.py: begin */\n", "/* debug/generate_trace.py: end */\n"


def ring_of(event):
    return event.get("ring", "kernel")


def _judge(path, event):
    name, fields = event["name"], event["fields"]
    if ring_of(event) == "kernel":
        if len(fields) != KERNEL_FIELDS:
            sys.exit(f"{path}: event {name!r} must name {KERNEL_FIELDS} fields; \"\" is an unused one")
    elif len(fields) > OTHER_FIELDS_MAX or "" in fields or (event.get("string") and len(fields) >= OTHER_FIELDS_MAX):
        sys.exit(f"{path}: event {name!r} has fields for which there is no room")
    for key in ("hexadecimal", "signed", "names"):
        for field in event.get(key, ()):
            if field not in fields:
                sys.exit(f"{path}: event {name!r} has no field {field!r}")


def load(path=SOURCE):
    """The events in order of their numbers; exits with a message if the file breaks a rule."""
    events = tomllib.loads(path.read_text())["event"]
    free = {ring: iter(numbers) for ring, numbers in RINGS.items()}
    for event in events:
        number = next(free[ring_of(event)], None)
        if event["number"] != number:
            sys.exit(f"{path}: event {event['name']!r} has number {event['number']}, not {number}")
        _judge(path, event)
    return events


def _rows(events, prefix):
    return [f"    {prefix}{e['name'].upper()} = {e['number']}," for e in events]


def header(events):
    own = [e for e in events if ring_of(e) == "kernel"]
    always = " | ".join(f"1u << {e['number']}" for e in own if e.get("always"))
    return "\n".join([f"/* {NOTE} */", "enum trace_event {", *_rows(own, "TRACE_"), "};", "",
                      "/* Noted by every kernel; bit n: event n. */", f"#define TRACE_ALWAYS ({always})", ""])


def shared_enumeration(events):
    others = [e for e in events if ring_of(e) != "kernel"]
    return "\n".join(["enum atoll_trace_event {", *_rows(others, "ATOLL_TRACE_EVENT_"), "};", ""])


def table(events):
    lines = [f"<!-- {NOTE} -->", "", "| | ring | event | fields | what it says |", "|---:|---|---|---|---|"]
    for e in events:
        star = " *" if e.get("always") else ""
        fields = ", ".join([name for name in e["fields"] if name] + [e[k] for k in ("string",) if k in e])
        lines.append(f"| {e['number']} | {ring_of(e)} | `{e['name']}`{star} | {fields} | {e['text']} |")
    return "\n".join(lines) + "\n"


def document(text, events):
    """The page, or the header, with what lies between its marks made anew."""
    is_page = PAGE_MARKS[0] in text
    begin, end = PAGE_MARKS if is_page else HEADER_MARKS
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}{(table if is_page else shared_enumeration)(events)}{end}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--document", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--check", action="store_true", help="fail if a --document is out of date")
    arguments = parser.parse_args()
    events = load()
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(header(events))
    for path in arguments.document:
        old = path.read_text()
        new = document(old, events)
        if arguments.check and new != old:
            sys.exit(f"{path} is out of date: run debug/generate_trace.py --document {path}")
        if new != old:
            path.write_text(new)


if __name__ == "__main__":
    main()
