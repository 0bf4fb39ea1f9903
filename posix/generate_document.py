#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/POSIX.md from syscalls.toml and document.toml: every Linux call with its state, and the
functions of the POSIX real-time profiles. With --check it only says whether the page is fresh."""
import argparse
import pathlib
import sys
import tomllib

from generate_syscalls import OPTIONAL, STATES, load

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs/POSIX.md"
DEFINITION, DATA = HERE / "syscalls.toml", HERE / "document.toml"
COMMAND = "posix/generate_document.py"
ABSENT = "-"  # begins, in place of calls, a reason of another kind


def reasons(calls, data):
    """{refused call: why}; stops if a refused call has none, or a group names no call."""
    known = {call["name"] for call in calls}
    why = {}
    for group in data["refused"]:
        for name in group["calls"]:
            if name not in known or name in why:
                sys.exit(f"{DATA}: {name!r} is no system call, or in two groups")
            why[name] = group["why"]
    for call in calls:
        if call["state"] == "refused" and call["name"] not in why:
            sys.exit(f"{DATA}: say why {call['name']} is refused: add it to a group")
    return why


def call_rows(calls, why):
    for call in sorted(calls, key=lambda c: c["name"].lstrip("_")):
        place = f"`posix/{call.get('part')}`"
        remark = {"implemented": place + (", in images with sockets" if call.get("part") == OPTIONAL else ""),
                  "refused": f"{call.get('errno')}: {why.get(call['name'])}",
                  "later": "ENOSYS"}[call["state"]]
        yield f"| `{call['name']}` | {call['number']} | {call['state']} | {remark} |"


def missing_calls(needed, states):
    """What keeps functions with these calls from working."""
    if needed.startswith(ABSENT):
        return [needed[1:].strip()]
    missing = []
    for item in needed.split():
        names = item.split("|")
        for name in names:
            if name not in states:
                sys.exit(f"{DATA}: {name!r} is no system call")
        if not any(states[name] == "implemented" for name in names):
            missing.append(f"`{names[0]}`")
    return missing


def profile_rows(data, states, totals):
    for unit in data["unit"]:
        for names, needed in unit["functions"].items():
            missing = missing_calls(needed, states)
            state = "absent: " + ", ".join(missing) if missing else "there"
            count = len(names.split())
            totals[unit["profile"]][0 if missing else 1] += count
            functions = ", ".join(f"`{name}`" for name in names.split())
            yield f"| {unit['profile']} | {unit['name']} | {functions} | {state} |"


# @impl ATL-LLR-TOOL-0047~1
def document():
    calls = load(DEFINITION)
    data = tomllib.loads(DATA.read_text())
    states = {call["name"]: call["state"] for call in calls}
    counts = {state: list(states.values()).count(state) for state in STATES}
    totals = {"PSE51": [0, 0], "PSE52": [0, 0]}
    profiles = list(profile_rows(data, states, totals))
    there = {name: f"{have} of {have + lack} functions" for name, (lack, have) in totals.items()}
    return "\n".join([
        "# System calls and POSIX functions", "",
        f"<!-- Generated from posix/syscalls.toml and posix/document.toml by {COMMAND}; do not edit. -->",
        "", "## Linux system calls", "",
        f"Of {len(calls)}: {counts['implemented']} implemented, {counts['refused']} refused by design, "
        f"{counts['later']} not offered yet (ENOSYS). Calls that a program made in vain are counted and "
        "listed at its end under `--verbose`. Where an implemented call differs from Linux on purpose, "
        "the README of its folder says so.", "",
        "| call | number | state | where, or why not |", "| --- | --- | --- | --- |",
        *call_rows(calls, reasons(calls, data)), "",
        "## POSIX real-time profiles", "",
        "IEEE Std 1003.13-2003: PSE51, a minimal real-time system, and PSE52, a real-time controller, which "
        "has all of PSE51. *There* means that every system call that a static C library needs for the "
        "function is implemented; it is no claim of conformance: no validation suite has been run. "
        f"PSE51: {there['PSE51']}. PSE52 adds {there['PSE52']}.", "",
        "| profile | unit of functionality | functions | state |", "| --- | --- | --- | --- |",
        *profiles, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit status 1 if the page is out of date")
    fresh = document()
    if not parser.parse_args().check:
        DOCUMENT.write_text(fresh)
    elif not DOCUMENT.exists() or DOCUMENT.read_text() != fresh:
        print(f"{DOCUMENT.relative_to(HERE.parent)} is out of date: run {COMMAND}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
