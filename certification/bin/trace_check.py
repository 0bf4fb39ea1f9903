#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares requirements with code, tests and results, in both directions.

    certification/bin/trace_check.py                       T01..T25
    certification/bin/trace_check.py --results FILE        and T30: every cited test ran and passed
    certification/bin/trace_check.py --accept              writes new ids and raised revisions to
                                                           ids.lock; lowers the T14 allowance
    certification/bin/trace_check.py --monitor             writes the T14 allowance of today's tree

Prints `file:line: Tnn message` for each error and one summary line; exit status 1 on any error.
The rules are listed in certification/README.md; each has a good and a bad fixture in
certification/tests/."""
import argparse
import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
import trace_read as read  # noqa: E402

STATUSES = ("draft", "approved", "retired")
CLASSES = ("safety", "security", "qm")
VERIFY = {"test": "verifies", "proof": "proves", "analysis": "analyses"}
PARENT_LEVEL = {"HLR": ("SYS",), "LLR": ("HLR",), "AOU": ("SYS", "HLR")}
WEAK_WORDS = ("adequate", "and/or", "appropriate", "as needed", "easy", "efficient", "etc", "fast",
              "flexible", "if possible", "minimal", "normally", "properly", "quickly", "reasonable",
              "robustly", "should", "several", "sufficient", "user-friendly", "usually", "will")
MONITORED = "t14_monitored.txt"


class Trace:
    """Everything read from one tree, and the errors found in it."""

    def __init__(self, root):
        self.root = root
        self.folder = root / "certification"
        self.requirements, broken = read.read_requirements(self.folder / "requirements", root)
        self.lock_file = self.folder / "requirements" / "ids.lock"
        self.lock = read.read_lock(self.lock_file)
        self.sources = read.scan(root)
        self.tags = [tag for source in self.sources for tag in source.tags]
        self.by_id = {}
        for requirement in self.requirements:
            self.by_id.setdefault(requirement.id, requirement)
        self.cited = collections.defaultdict(list)
        for tag in self.tags:
            self.cited[tag.id].append(tag)
        self.children = collections.defaultdict(list)
        for requirement in self.requirements:
            if requirement.fields.get("status") != "retired":
                for parent in as_list(requirement.fields.get("parents")):
                    self.children[parent].append(requirement)
        self.errors = []
        for path, line, message in broken:
            self.error(path, line, "T03", f"not TOML: {message}")

    def error(self, path, line, rule, message):
        self.errors.append((path, line, rule, message))

    def error_at(self, requirement, rule, message):
        self.error(requirement.path, requirement.line, rule, f"{requirement.id}: {message}")

    @property
    def lock_path(self):
        return str(self.lock_file.relative_to(self.root))


def as_list(value):
    return value if isinstance(value, list) else []


# @impl ATL-LLR-EVID-0001~1
def check_fields(trace):
    """T01 identifier, T02 duplicate, T03 field, T04 wording."""
    seen = set()
    for r in trace.requirements:
        if not read.ID.fullmatch(r.id):
            trace.error(r.path, r.line, "T01", f"{r.id!r} is not ATL-<SYS|HLR|LLR|AOU>-<COMP>-<4 digits>")
        if r.id in seen:
            trace.error_at(r, "T02", "defined twice")
        seen.add(r.id)
        for name, kind in read.REQUIRED_FIELDS.items():
            value = r.fields.get(name)
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                trace.error_at(r, "T03", f"field {name} is missing or not {kind.__name__}")
        check_values(trace, r)
        check_wording(trace, r)


def check_values(trace, r):
    if isinstance(r.rev, int) and r.rev < 1:
        trace.error_at(r, "T03", "rev is below 1")
    if isinstance(r.fields.get("status"), str) and r.fields["status"] not in STATUSES:
        trace.error_at(r, "T03", f"status is not one of {', '.join(STATUSES)}")
    if isinstance(r.fields.get("class"), str) and r.fields["class"] not in CLASSES:
        trace.error_at(r, "T03", f"class is not one of {', '.join(CLASSES)}")
    verify = r.fields.get("verify")
    if isinstance(verify, list) and (not verify or any(v not in VERIFY for v in verify)):
        trace.error_at(r, "T03", f"verify is not a list out of {', '.join(VERIFY)}")


def check_wording(trace, r):
    text = str(r.fields.get("text", ""))
    count = len(re.findall(r"\bshall\b", text))
    if count != 1:
        trace.error_at(r, "T04", f'{count} times "shall", not once')
    for word in WEAK_WORDS:
        if re.search(rf"(?<![\w/]){re.escape(word)}(?![\w/])", text, re.I):
            trace.error_at(r, "T04", f'weak word "{word}"')


# @impl ATL-LLR-EVID-0002~1
def check_lock(trace):
    """T05 not accepted, T06 text changed under an old revision, T07 id vanished."""
    for r in trace.by_id.values():
        if r.id not in trace.lock:
            trace.error_at(r, "T05", "new id is not accepted (--accept)")
            continue
        rev, digest, _ = trace.lock[r.id]
        if isinstance(r.rev, int) and r.rev > rev:
            trace.error_at(r, "T05", f"revision {r.rev} is not accepted (--accept)")
        elif r.rev != rev:
            trace.error_at(r, "T06", f"revision fell from {rev} to {r.rev}")
        elif r.digest != digest:
            trace.error_at(r, "T06", "text changed and rev was not raised")
    for name, (_, _, line) in trace.lock.items():
        if name not in trace.by_id:
            trace.error(trace.lock_path, line, "T07", f"{name}: vanished; retire it instead")


# @impl ATL-LLR-EVID-0003~1
def check_citations(trace):
    """T10 unknown id, T11 retired id, T12 suspect link, T13 tag on the wrong side."""
    for source in trace.sources:
        for line, word in source.malformed:
            trace.error(source.path, line, "T10", f"{word} is not <id>~<revision>")
        for tag in source.tags:
            check_citation(trace, source, tag)


def check_citation(trace, source, tag):
    requirement = trace.by_id.get(tag.id)
    if requirement is None:
        trace.error(tag.path, tag.line, "T10", f"{tag.id}: unknown requirement")
    elif requirement.fields.get("status") == "retired":
        trace.error(tag.path, tag.line, "T11", f"{tag.id}: retired requirement")
    elif requirement.rev != tag.rev:
        trace.error(tag.path, tag.line, "T12",
                    f"{tag.id}: suspect link: cites revision {tag.rev}, now {requirement.rev}")
    if source.is_test and tag.kind == "impl":
        trace.error(tag.path, tag.line, "T13", f"{tag.id}: @impl in a test")
    if not source.is_test and tag.kind == "verifies":
        trace.error(tag.path, tag.line, "T13", f"{tag.id}: @verifies outside of tests")


def uncited_functions(source):
    return [(line, name) for line, name, has_impl in source.functions if not has_impl]


def read_monitored(trace):
    """{path: allowed external functions without a requirement}; the number may only fall."""
    file = trace.folder / MONITORED
    rows = file.read_text().splitlines() if file.exists() else []
    return {row.split()[1]: int(row.split()[0]) for row in rows if row and not row.startswith("#")}


def write_monitored(trace, counts):
    head = "# External functions below the gate that cite no requirement, per file (rule T14). The\n" \
           "# numbers may only fall; CAVEATS.md says what this means.\n"
    rows = "".join(f"{n} {path}\n" for path, n in sorted(counts.items()) if n)
    (trace.folder / MONITORED).write_text(head + rows)


# @impl ATL-LLR-EVID-0004~1
def check_unjustified(trace):
    """T14 code with no requirement (beyond the monitored number), T15 test that verifies nothing."""
    allowed = read_monitored(trace)
    for source in trace.sources:
        uncited = uncited_functions(source)
        if len(uncited) > allowed.get(source.path, 0):
            for line, name in uncited:
                trace.error(source.path, line, "T14", f"{name}: external function without @impl "
                            f"({len(uncited)} in this file, {allowed.get(source.path, 0)} allowed)")
        if source.has_tests and not source.tags:
            trace.error(source.path, 1, "T15", "test file verifies no requirement")


# @impl ATL-LLR-EVID-0005~1
def check_parents(trace):
    """T20 unknown parent, T21 orphan, T22 parent without child (an HLR may be tested as it is)."""
    for r in trace.requirements:
        if r.fields.get("status") == "retired":
            continue
        parents = as_list(r.fields.get("parents"))
        for name in parents:
            parent = trace.by_id.get(name)
            if parent is None or parent.fields.get("status") == "retired":
                trace.error_at(r, "T20", f"parent {name} is unknown or retired")
            elif parent.level not in PARENT_LEVEL.get(r.level, ()):
                trace.error_at(r, "T20", f"parent {name} has the wrong level")
        if r.level in ("HLR", "LLR") and not parents and not r.fields.get("derived_rationale"):
            trace.error_at(r, "T21", "neither parents nor derived_rationale")
        is_leaf = r.level == "HLR" and any(t.kind != "impl" for t in trace.cited[r.id])
        if r.level in ("SYS", "HLR") and r.is_approved and not trace.children[r.id] and not is_leaf:
            trace.error_at(r, "T22", "approved, but nothing refines it and no test cites it")


def evidence(trace, requirement, kind):
    """Tags of one kind that cite the requirement or, for an HLR, one of its children."""
    tags = [t for t in trace.cited[requirement.id] if t.kind == VERIFY[kind]]
    if requirement.level == "HLR":
        for child in trace.children[requirement.id]:
            tags += evidence(trace, child, kind)
    return tags


# @impl ATL-LLR-EVID-0006~1
def check_coverage(trace):
    """T23 requirement without code, T24 without evidence, T25 robust without a robustness test."""
    for r in trace.by_id.values():
        if not r.is_approved or r.level not in ("HLR", "LLR"):
            continue
        if r.level == "LLR" and not any(t.kind == "impl" for t in trace.cited[r.id]):
            trace.error_at(r, "T23", "no code implements it")
        for kind in as_list(r.fields.get("verify")):
            if kind in VERIFY and not evidence(trace, r, kind):
                trace.error_at(r, "T24", f"no {kind} cites it")
        if r.fields.get("robust") is True and not any(t.robust for t in evidence(trace, r, "test")):
            trace.error_at(r, "T25", "robust, but no @robust test")


# @impl ATL-LLR-EVID-0007~1
def check_results(trace, results):
    """T30: a test that a tag names was not run, failed, or was only skipped."""
    for tag in trace.tags:
        requirement = trace.by_id.get(tag.id)
        if tag.kind not in ("verifies", "proves") or not requirement or not requirement.is_approved:
            continue
        found = [results[name] for name in tag.tests if name in results]
        where = f"{tag.id}: test {' or '.join(tag.tests)}"
        if not found:
            trace.error(tag.path, tag.line, "T30", f"{where} was not run")
        elif any(counts["fail"] for counts in found):
            trace.error(tag.path, tag.line, "T30", f"{where} failed")
        elif not any(counts["pass"] for counts in found):
            trace.error(tag.path, tag.line, "T30", f"{where} was skipped")


def accept(trace):
    """Takes new ids and raised revisions into the lock, and lowers the T14 allowance. A changed
    text under an old revision and a vanished id stay errors."""
    for r in trace.by_id.values():
        old = trace.lock.get(r.id)
        if read.ID.fullmatch(r.id) and isinstance(r.rev, int) and (old is None or r.rev > old[0]):
            trace.lock[r.id] = (r.rev, r.digest, 0)
    read.write_lock(trace.lock_file, trace.lock)
    trace.lock = read.read_lock(trace.lock_file)
    allowed = read_monitored(trace)
    now = {source.path: len(uncited_functions(source)) for source in trace.sources}
    write_monitored(trace, {p: min(n, now.get(p, 0)) for p, n in allowed.items()})


def check(root, results=None, do_accept=False, do_monitor=False):
    """The Trace of a tree after all checks; .errors is sorted."""
    trace = Trace(root)
    if do_monitor:
        write_monitored(trace, {s.path: len(uncited_functions(s)) for s in trace.sources})
    if do_accept:
        accept(trace)
    for rule in (check_fields, check_lock, check_citations, check_unjustified, check_parents,
                 check_coverage):
        rule(trace)
    if results is not None:
        check_results(trace, read.read_results(results))
    trace.errors.sort()
    return trace


# @impl ATL-LLR-EVID-0008~1
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--results", type=pathlib.Path, help="results file of a test run (T30)")
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--monitor", action="store_true")
    options = parser.parse_args()
    if options.results and not options.results.exists():
        sys.exit(f"{options.results}: no such results file; run the tests first")
    try:
        trace = check(options.root, options.results, options.accept, options.monitor)
    except ValueError as error:
        sys.exit(str(error))
    for path, line, rule, message in trace.errors:
        print(f"{path}:{line}: {rule} {message}")
    impl = sum(t.kind == "impl" for t in trace.tags)
    uncited = sum(len(uncited_functions(s)) for s in trace.sources)
    print(f"trace: {len(trace.by_id)} requirements, {impl} @impl, {len(trace.tags) - impl} "
          f"evidence tags, {uncited} external functions without @impl, {len(trace.errors)} errors")
    return 1 if trace.errors else 0


if __name__ == "__main__":
    sys.exit(main())
