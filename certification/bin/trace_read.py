# SPDX-License-Identifier: Apache-2.0
"""Reads what trace_check.py compares: requirements, the lock file, tags in code and tests, results.

Nothing here judges; every reader returns plain records that carry file and line. The conventions
(what a tag looks like, which test a tag belongs to, how results are named) are described in
certification/README.md."""
import dataclasses
import hashlib
import json
import pathlib
import re
import tomllib

ID = re.compile(r"ATL-(SYS|HLR|LLR|AOU)-[A-Z][A-Z0-9]*-\d{4}")
CITATION = re.compile(r"(ATL-(?:SYS|HLR|LLR|AOU)-[A-Z][A-Z0-9]*-\d{4})~(\d+)")
TAG = re.compile(r"@(impl|verifies|robust|proves|analyses)\b(?=\s+ATL-|\s*(?:\*/|$|@))")
COMMENT = re.compile(r"/\*|^\s*\*|#|//|^\s*;")

CODE_SUFFIXES = {".c", ".h", ".S", ".py", ".pml", ".sh", ".cc", ".cpp", ".go", ".inc"}
SKIPPED_FOLDERS = {".git", "__pycache__", "build", "fixtures", "node_modules", ".ci"}
TEST_FOLDERS = ("tests/", "fuzz/", "certification/tests/", "percpu/models/")
NOT_TESTS = ("fuzz/run.py",)  # drivers below a test folder that are product code
# Where an external function needs a requirement (T14): everything below the gate.
CORE_FOLDERS = ("kernel/", "percpu/", "isolation/", "crypto/", "policy/")

TEST_START = re.compile(r"\s*(?:TEST\((\w+)\)|(?:async )?def (test\w*)\(|class (\w+)\b)")
FUNCTION = re.compile(
    r"^(?!static\b|typedef\b|return\b|else\b)((?:[A-Za-z_][\w]*[ \t\*]+)+)(\w+)\(([^;{}]*)\)\s*\{",
    re.M)
REQUIRED_FIELDS = {"id": str, "rev": int, "status": str, "text": str, "verify": list,
                   "robust": bool, "class": str}


@dataclasses.dataclass
class Requirement:
    id: str
    fields: dict
    path: str
    line: int

    @property
    def rev(self):
        return self.fields.get("rev")

    @property
    def is_approved(self):
        return self.fields.get("status") == "approved"

    @property
    def level(self):
        return self.id.split("-")[1] if ID.fullmatch(self.id) else "?"

    @property
    def digest(self):
        words = " ".join(str(self.fields.get("text", "")).split())
        return hashlib.sha256(words.encode()).hexdigest()[:16]


@dataclasses.dataclass
class Tag:
    kind: str  # impl, verifies, proves, analyses
    id: str
    rev: int
    robust: bool
    path: str
    line: int
    tests: tuple = ()  # base names of results that count for it


@dataclasses.dataclass
class Source:
    """One scanned file: its tags, its malformed citations, and what it defines."""
    path: str
    tags: list
    malformed: list  # (line, text)
    is_test: bool
    has_tests: bool
    functions: list  # (line, name, has_impl): external C functions of the core


def read_requirements(folder, root):
    """([Requirement], [(path, line, message)]): the second are files that are not TOML."""
    requirements, broken = [], []
    for file in sorted(folder.glob("*.toml")):
        path = str(file.relative_to(root))
        text = file.read_text()
        try:
            rows = tomllib.loads(text).get("req", [])
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            broken.append((path, int(found.group(1)) if found else 1, str(error)))
            continue
        lines = [n for n, line in enumerate(text.splitlines(), 1)
                 if re.match(r"\s*\[\[\s*req\s*\]\]", line)]
        for row, line in zip(rows, lines):
            requirements.append(Requirement(str(row.get("id", "")), row, path, line))
    return requirements, broken


def read_lock(file):
    """{id: (rev, digest, line)} of ids.lock; an absent file is an empty lock."""
    lock = {}
    if file.exists():
        for number, line in enumerate(file.read_text().splitlines(), 1):
            words = line.split()
            if len(words) == 3 and not line.startswith("#"):
                lock[words[0]] = (int(words[1]), words[2], number)
    return lock


def write_lock(file, lock):
    head = "# Every requirement id ever accepted: id, revision, digest of its text. Written by\n" \
           "# certification/bin/trace_check.py --accept; a line is never removed.\n"
    file.write_text(head + "".join(f"{name} {lock[name][0]} {lock[name][1]}\n"
                                   for name in sorted(lock)))


def read_results(file):
    """{base name: {"pass": n, "fail": n, "skip": n}} of a results file (JSON lines)."""
    results = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        row = json.loads(line)
        if row.get("result") not in ("pass", "fail", "skip") or "test" not in row:
            raise ValueError(f"{file}:{number}: no test name or no result")
        for name in base_names(row["test"]):
            counts = results.setdefault(name, {"pass": 0, "fail": 0, "skip": 0})
            counts[row["result"]] += 1
    return results


def base_names(test):
    """Names under which a result counts: `unit/channel_test` -> unit, channel_test;
    `conformance/hello[ring=3]` -> conformance, hello."""
    return {part for part in re.split(r"[/.:\s]+", test.split("[")[0]) if part}


def scan(root):
    """[Source] of every code file below root."""
    sources = []
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if any(p in SKIPPED_FOLDERS or p.startswith("build-") for p in relative.parts[:-1]):
            continue
        if file.is_file() and (file.suffix in CODE_SUFFIXES or str(relative) == "atoll"):
            sources.append(scan_file(file, str(relative)))
    return sources


def scan_file(file, path):
    text = file.read_text(errors="replace")
    lines = text.splitlines()
    is_test = path.startswith(TEST_FOLDERS) and path not in NOT_TESTS
    tags, malformed = scan_tags(lines, path)
    has_tests = is_test and file_has_tests(file, text)
    if is_test:
        for tag in tags:
            tag.tests = tests_of(lines, tag.line, file, path)
    functions = []
    if file.suffix == ".c" and path.startswith(CORE_FOLDERS) and not is_test:
        functions = external_functions(text, lines)
    return Source(path, tags, malformed, is_test, has_tests, functions)


def scan_tags(lines, path):
    tags, malformed = [], []
    open_kind, open_robust = None, False
    for number, line in enumerate(lines, 1):
        found = list(TAG.finditer(line))
        if open_kind and re.match(r"[\s*#/;]*ATL-", line):  # continues the line above
            robust = open_kind == "verifies" and (open_robust or "@robust" in line)
            add_citations(line, open_kind, robust, path, number, tags, malformed)
        elif found and COMMENT.search(line[:found[0].start()]):
            has_robust = any(f.group(1) == "robust" for f in found)
            for index, match in enumerate(found):
                end = found[index + 1].start() if index + 1 < len(found) else len(line)
                open_kind = "verifies" if match.group(1) == "robust" else match.group(1)
                open_robust = has_robust and open_kind == "verifies"
                add_citations(line[match.end():end], open_kind, open_robust, path, number, tags,
                              malformed)
        else:
            open_kind = None
    return tags, malformed


def add_citations(text, kind, robust, path, number, tags, malformed):
    for word in re.findall(r"ATL-[^\s,*]*", text):
        match = CITATION.fullmatch(word)
        if match:
            tags.append(Tag(kind, match.group(1), int(match.group(2)), robust, path, number))
        else:
            malformed.append((number, word))


def file_has_tests(file, text):
    name = file.name
    if name.endswith(("_test.c", "_fuzz.c")) or file.suffix == ".pml":
        return True
    if name.startswith("test_") and file.suffix == ".py":
        return re.search(r"^\s*(?:async )?def test", text, re.M) is not None
    return file.parts[-2:-1] == ("conformance",) and file.suffix == ".c"


def tests_of(lines, number, file, path):
    """Base names of the results that count for a tag: of the test below it and of its file."""
    names = {file.stem}
    if path.startswith("fuzz/") and file.stem.endswith("_fuzz"):
        names.add("fuzz_" + file.stem.removesuffix("_fuzz"))
    if file.parent.name.startswith("test_"):
        names.add(file.parent.name)
    for line in lines[number:number + 12]:
        start = TEST_START.match(line)
        if start:
            names.add(next(group for group in start.groups() if group))
            break
        if line.strip() and not COMMENT.search(line) and "*/" not in line \
                and not line.strip().startswith("@"):
            break
    return tuple(sorted(names))


def external_functions(text, lines):
    found = []
    for match in FUNCTION.finditer(text):
        if re.search(r"\bstatic\b", match.group(1)) or match.group(2).isupper():
            continue
        number = text.count("\n", 0, match.start()) + 1
        above, has_impl = number - 2, False
        while above >= 0 and re.match(r"\s*(/\*|\*|//|$)|.*\*/\s*$", lines[above]):
            has_impl = has_impl or "@impl" in lines[above]
            above -= 1
        found.append((number, match.group(2), has_impl))
    return found
