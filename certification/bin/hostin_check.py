#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every read of what the host can lie about has a validator: ports, device registers, MSRs, CPUID, the
time-stamp counter, random instructions, memory that a device, a loader or another machine writes.

Finds the functions below the gate that read (kernel/, percpu/, isolation/, crypto/, policy/, debug/) and
compares them with certification/hostin.toml, which names the validator of each. Exit status 1: a read
without a row, a row without a read, a validator that is no function.

    hostin_check.py [ROOT]"""
import re
import sys
import tomllib

from check_main import run

FOLDERS = ("kernel", "percpu", "isolation", "crypto", "policy", "debug")
SUFFIXES = {".c", ".h"}
LEFT_OUT = {"host", "models"}
# The instructions themselves are not reads of anybody: who calls them is.
INSTRUCTIONS = {"kernel/cpu/include/cpu/instructions.h", "kernel/cpu/include/cpu/msr.h"}
PRIMITIVES = ("cpu_in8", "cpu_in16", "cpu_in32", "cpu_rdmsr", "cpu_cpuid", "cpu_rdtsc", "cpu_rdrand", "cpu_rdseed",
              "cpu_xgetbv", "cpu_boot_load_u8", "cpu_hypercall")
# Words that other than calls show a read of shared memory: volatile accesses, and the memory of the table.
VOLATILE = r"\*\(volatile \w+ \*\)\w+(?! =|\w)"
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
FUNCTION = re.compile(r"^([A-Za-z_][^;{}#]*?)\n\{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"(\w+)\(")


def functions(text):
    """[(name, body, whether other files can call it)] of a file in the house's style: the braces of a
    function begin lines."""
    text = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    return [(NAME.search(head).group(1), body, "static" not in head.split()) for head, body in FUNCTION.findall(text)
            if NAME.search(head)]


def sources(root):
    """{path relative to root: functions of it}"""
    found = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = str(path.relative_to(root))
            if path.suffix in SUFFIXES and name not in INSTRUCTIONS and not LEFT_OUT.intersection(path.parts):
                found[name] = functions(path.read_text())
    return found


def readers(files, rows, memory):
    """{(file, function)} that read: by a primitive, from memory of the table, or by a function whose row
    says that its caller judges."""
    passing = [(row["file"], row["function"]) for row in rows if row["validator"] == "caller"]
    outside = {(file, name) for file, parts in files.items() for name, _, is_outside in parts
               if is_outside or file.endswith(".h")}
    found = set()
    for file, parts in files.items():
        calls = [*PRIMITIVES, *(name for owner, name in passing if owner == file or (owner, name) in outside)]
        pattern = re.compile(rf"\b(?:{'|'.join(calls)})\(|{VOLATILE}"
                             + "".join(rf"|{re.escape(entry['text'])}" for entry in memory if entry["file"] == file))
        found |= {(file, name) for name, body, _ in parts if pattern.search(body)}
    return found


# @impl ATL-LLR-VIRTIO-0872~1
def check(root):
    """[what is wrong], and how many reads there are."""
    table = tomllib.loads((root / "certification/hostin.toml").read_text())
    rows, memory = table.get("read", []), table.get("memory", [])
    files = sources(root)
    names = {name for parts in files.values() for name, _, _ in parts} | {"caller", "none"}
    listed = {(row["file"], row["function"]) for row in rows}
    found = readers(files, rows, memory)
    wrong = [f"{file}: {function} reads what the host can lie about, and certification/hostin.toml names no validator"
             for file, function in sorted(found - listed)]
    wrong += [f"certification/hostin.toml: {function} of {file} reads nothing" for file, function in sorted(listed - found)]
    wrong += [f"certification/hostin.toml: {row['function']}: there is no function {row['validator']}"
              for row in rows if row["validator"] not in names]
    wrong += [f"certification/hostin.toml: {row['function']}: say why it needs no validator"
              for row in rows if row["validator"] == "none" and not row.get("why")]
    wrong += [f"certification/hostin.toml: {row['function']} of {row['file']} stands there twice"
              for row in rows if sum(other["file"] == row["file"] and other["function"] == row["function"]
                                     for other in rows) > 1]
    wrong += [f"certification/hostin.toml: {entry['file']} has no {entry['text']}" for entry in memory
              if entry["text"] not in "".join(body for _, body, _ in files.get(entry["file"], []))]
    return wrong, len(found)


if __name__ == "__main__":
    sys.exit(run(check, "hostin: {} functions read what the host can lie about"))
