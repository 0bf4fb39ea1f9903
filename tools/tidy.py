#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The project's bans: each names what to use in its place. Prints file:line: message for each; exit
status 1 on any. A line that must break a ban says so: a comment with `tidy: allow`, and why."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = {"build", ".git", "corpus", "fixtures", "__pycache__"}
C_SUFFIXES = {".c", ".h", ".cpp", ".S"}
TEXT_SUFFIXES = C_SUFFIXES | {".py", ".md", ".txt", ".toml", ".cmake", ".ld", ".json", ".pml", ".inc",
                              ".sh", ".yml"}
TEXT_NAMES = {"atoll", "run", "CMakeLists.txt", ".clang-format", ".gitignore"}
NO_LICENCE_LINE = {".md", ".json", ".txt", ".lock"}
LINES_MAX = 800
ALLOW = "tidy: allow"
PROGRAMS = ("tests/", "apps/", "bench/", "fuzz/", "posix/include/atoll/trace.h")  # not parts of the image

# Inline assembly and volatile belong to these places alone.
ASSEMBLY = re.compile(r"\b(?:__asm__|asm)\b\s*(?:volatile|__volatile__|goto)?\s*\(")
ASSEMBLY_PLACES = ("kernel/cpu/", "posix/include/posix/instructions.h", "posix/core/", "posix/vdso/",
                   "percpu/host/", "crypto/erase.h", "debug/instructions.h", *PROGRAMS)
VOLATILE = re.compile(r"\bvolatile\b")
VOLATILE_PLACES = ("kernel/cpu/", "kernel/driver/", "kernel/boot/collect.c",
                   "crypto/", "percpu/host/", "percpu/perturb.c",
                   "posix/include/posix/instructions.h", *PROGRAMS)
PATHS = "|".join(("home", "root", "work", "Users", "mnt", "media"))
BANS = [
    # (what, in which suffixes, message)
    (re.compile(r"(?<![\w.@$}])/(?:" + PATHS + r")/[A-Za-z0-9_.-]+/"), TEXT_SUFFIXES,
     "path of one machine: derive it from the file's own place"),
    (re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), TEXT_SUFFIXES,
     "unfinished work: do it, or write it into CAVEATS.md"),
    (re.compile(r"\b(?:strcpy|strcat|sprintf|vsprintf|gets|strtok)\s*\("), C_SUFFIXES,
     "unbounded string function: use memcpy with a checked length, or snprintf"),
    (re.compile(r"^\s*file\s*\(\s*GLOB", re.I), {".txt", ".cmake"},
     "GLOB: list the sources, so that a new file configures anew"),
    (re.compile(r"\b(?:pypi|registry|proxy)\.[\w-]+\.(?:org|com|io|net|dev)\b"), TEXT_SUFFIXES,
     "name of a package registry: leave it to the machine's own configuration"),
    (re.compile(r"[ \t]+$"), TEXT_SUFFIXES, "trailing blanks: remove them"),
    (re.compile(r"^ *\t"), TEXT_SUFFIXES, "tab: indent with 4 spaces"),
    (re.compile(r"#pragma\s+once"), {".h"}, "pragma once: use an include guard"),
]


def sources():
    for path in sorted(ROOT.rglob("*")):
        relative = path.relative_to(ROOT)
        if SKIPPED & set(relative.parts) or not path.is_file() or path.is_symlink():
            continue
        if path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES:
            yield path, str(relative)


def check_line(relative, suffix, line):
    for pattern, suffixes, message in BANS:
        if suffix in suffixes and pattern.search(line):
            yield message
    if suffix in {".c", ".h", ".cpp"}:
        code = re.sub(r"/\*.*?\*/|//.*|\"(?:\\.|[^\"\\])*\"", "", line)
        if ASSEMBLY.search(code) and not relative.startswith(ASSEMBLY_PLACES):
            yield "inline assembly: add a function to kernel/cpu (posix: posix/instructions.h)"
        elif VOLATILE.search(code) and "asm" not in code and not relative.startswith(VOLATILE_PLACES):
            yield "volatile: use _Atomic, or a device accessor of kernel/driver"


def check_file(path, relative):
    """(line number, message) of every broken ban."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        yield 1, "not UTF-8: save it as UTF-8"
        return
    lines = text.split("\n")
    if path.suffix not in NO_LICENCE_LINE and not any("SPDX-License-Identifier: Apache-2.0" in line
                                                      for line in lines[:3]):
        yield 1, "no licence: add SPDX-License-Identifier: Apache-2.0 as the first line"
    if path.suffix not in NO_LICENCE_LINE and len(lines) > LINES_MAX:
        yield LINES_MAX, f"{len(lines)} lines: split it (at most {LINES_MAX})"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end: add it"
    in_comment = False
    for number, line in enumerate(lines, 1):
        if ALLOW in line or (number > 1 and ALLOW in lines[number - 2]):
            continue
        code = line
        if path.suffix in C_SUFFIXES:
            code, in_comment = strip_block(line, in_comment)
        messages = set(check_line(relative, path.suffix, line))
        if code != line:
            # In a comment only the bans on text hold, not those on code.
            messages &= set(check_line(relative, path.suffix, code)) | text_messages(relative, path, line)
        yield from ((number, message) for message in sorted(messages))


def text_messages(relative, path, line):
    suffix = ".md" if path.suffix in TEXT_SUFFIXES else path.suffix
    return set(check_line(relative, suffix, line))


def strip_block(line, in_comment):
    """The line without block comments, and whether one goes on."""
    result = ""
    while line:
        if in_comment:
            end = line.find("*/")
            if end < 0:
                return result, True
            line, in_comment = line[end + 2:], False
        else:
            start = line.find("/*")
            if start < 0:
                return result + line, False
            result, line, in_comment = result + line[:start], line[start + 2:], True
    return result, in_comment


def main():
    found = 0
    for path, relative in sources():
        for number, message in check_file(path, relative):
            print(f"{relative}:{number}: {message}")
            found += 1
    if found:
        print(f"{found} bans are broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
