#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the system-call dispatch, the handlers' prototypes and the list of calls from syscalls.toml.
The page about them: generate_document.py."""
import argparse
import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from atoll.live.takes import Takes  # noqa: E402

NOTE = "Generated from posix/syscalls.toml by posix/generate_syscalls.py; do not edit."
STATES = ("implemented", "refused", "later")
PARTS = ("core", "thread", "signal", "time", "file", "memory", "load", "event", "net")
OPTIONAL = "net"  # not in every image
REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
FIELDS = {"number", "name", "state", "arguments", "answer", "frame", "part", "errno", "rare"}


def fail(path, call, text):
    sys.exit(f"{path}: call {call.get('name', '?')!r} ({call.get('number', '?')}): {text}")


def check(path, call, previous):
    """Stops with a message unless the row keeps the rules at the head of syscalls.toml."""
    if unknown := set(call) - FIELDS:
        fail(path, call, f"unknown field {sorted(unknown)}")
    if not isinstance(call.get("number"), int) or call["number"] <= previous:
        fail(path, call, "number is missing, repeated or out of order")
    if not re.fullmatch(r"[a-z0-9_]+", call.get("name", "")):
        fail(path, call, "name is not a system call's name")
    if call.get("state") not in STATES:
        fail(path, call, f"state is none of {', '.join(STATES)}")
    if call["state"] == "implemented":
        if call.get("arguments") not in range(len(REGISTERS) + 1):
            fail(path, call, "arguments is not 0..6")
        if call.get("frame", True) is not True:
            fail(path, call, "frame is true or left out")
        if call.get("rare", True) is not True:
            fail(path, call, "rare is true or left out")
        if call.get("part") not in PARTS:
            fail(path, call, f"part is none of {', '.join(PARTS)}")
    if "answer" in call and (call.get("arguments") != 0 or not 0 <= call["answer"] < 1 << 31):
        fail(path, call, "answer is a number below 2^31 of a call without arguments")
    if (call["state"] == "refused") != ("errno" in call):
        fail(path, call, "errno belongs to state refused, and only there")


def load(path):
    calls = tomllib.loads(path.read_text())["calls"]
    previous = -1
    for call in calls:
        check(path, call, previous)
        previous = call["number"]
    names = [call["name"] for call in calls]
    if len(set(names)) != len(names):
        sys.exit(f"{path}: a name occurs twice")
    return calls


def header(calls):
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */", f"/* {NOTE}",
             " * Arguments are the registers of the call as they are; a result is a value or -errno. */",
             "#ifndef POSIX_SYSCALLS_H", "#define POSIX_SYSCALLS_H", "",
             f"#define SYSCALL_COUNT {calls[-1]['number'] + 1}", "", "#ifndef __ASSEMBLER__",
             "#include <stdint.h>", ""]
    for call in calls:
        lines.append(f"#define SYSCALL_{call['name'].upper()} {call['number']}u")
    lines.append("")
    for call in calls:
        if call["state"] == "implemented" and "answer" not in call:
            parameters = ", ".join(["uint64_t"] * call["arguments"]) or "void"
            lines.append(f"int64_t posix_{call['name']}({parameters});")
    return "\n".join(lines + ["#endif", "", "#endif", ""])


def table(calls):
    """A row for each number from 0 on, and one for all larger ones."""
    rows = {call["number"]: call for call in calls}
    lines = [f"/* {NOTE} */"]
    for number in range(calls[-1]["number"] + 2):
        call = rows.get(number)
        if call is None:
            lines.append("CALL_UNKNOWN")
        elif "answer" in call:
            lines.append(f"CALL_ANSWERED({call['answer']})")
        elif call["state"] == "implemented":
            kind = "_WITH_FRAME" if call.get("frame") else "_RARE" if call.get("rare") else ""
            lines.append(f"CALL{kind}({call['name']})")
        elif call["state"] == "refused" and call["errno"] != "ENOSYS":
            lines.append(f"CALL_REFUSED({call['errno']})")
        else:
            lines.append("CALL_NOT_OFFERED")
    return "\n".join(lines) + "\n"


def not_offered(calls):
    lines = [f"/* {NOTE} SYSCALL_NOT_OFFERED(number, name) */"]
    for call in calls:
        if call["state"] == "later" or call.get("errno") == "ENOSYS" or call.get("part") == OPTIONAL:
            lines.append(f"SYSCALL_NOT_OFFERED({call['number']}, \"{call['name']}\")")
    return "\n".join(lines) + "\n"


def implemented(calls):
    lines = [f"/* {NOTE} SYSCALL_IMPLEMENTED(number, name, argument count) */"]
    for call in calls:
        if call["state"] == "implemented" and "answer" not in call:
            lines.append(f"SYSCALL_IMPLEMENTED({call['number']}, {call['name']}, {call['arguments']})")
    return "\n".join(lines) + "\n"


def answers(calls):
    lines = [f"/* {NOTE} SYSCALL_ANSWER(number, name, answer) */"]
    lines += [f"SYSCALL_ANSWER({call['number']}, {call['name']}, {call['answer']})" for call in calls if "answer" in call]
    return "\n".join(lines) + "\n"


def absent(calls):
    lines = [f"/* {NOTE} CALL_ABSENT(name) */"]
    lines += [f"CALL_ABSENT({call['name']})" for call in calls if call.get("part") == OPTIONAL]
    return "\n".join(lines) + "\n"


# @impl ATL-LLR-POSIX-1001~1
def noted(calls, path):
    """What posix/core/noted.c copies of each call's arguments: rows, and where each number's begin."""
    takes = Takes(path)
    rows, first = [], []
    names = {call["number"]: call["name"] for call in calls if call["state"] == "implemented"}
    for number in range(calls[-1]["number"] + 3):
        first.append(str(len(rows)))
        rows += [f"    {{{p.position}, {p.when}, {p.kind}, {p.count}, {p.unit}, {p.limit}}}, /* {names[number]} */"
                 for p in takes.pointers(names.get(number))]
    return "\n".join([
        f"/* {NOTE} */",
        "enum { NOTED_BEFORE = 1, NOTED_BEHIND = 2 };",
        "enum { NOTED_DATA, NOTED_STRING, NOTED_VECTORS, NOTED_MESSAGE };",
        "/* count: NOTED_ONE, NOTED_RESULT, else an argument from 1 on, from NOTED_AT on what it points to */",
        "enum { NOTED_ONE = 0, NOTED_RESULT = 7, NOTED_AT = 8 };",
        "struct noted_argument { uint8_t argument, when, kind, count; uint16_t unit, limit; };",
        "static const struct noted_argument noted_arguments[] = {", *rows, "};",
        f"static const uint16_t noted_first[] = {{{', '.join(first)}}};", ""])


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    path.touch()  # the inputs may be newer than an unchanged output: ninja compares times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("definition", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the C headers")
    arguments = parser.parse_args()
    calls = load(arguments.definition)
    write(arguments.out / "posix/syscalls.h", header(calls))
    write(arguments.out / "posix_calls.inc", table(calls))
    write(arguments.out / "posix_not_offered.inc", not_offered(calls))
    write(arguments.out / "posix_net_absent.inc", absent(calls))
    write(arguments.out / "posix_implemented.inc", implemented(calls))
    write(arguments.out / "posix_answers.inc", answers(calls))
    write(arguments.out / "posix_noted.inc", noted(calls, arguments.definition))


if __name__ == "__main__":
    main()
