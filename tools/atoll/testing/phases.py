# SPDX-License-Identifier: Apache-2.0
"""The phases of `./atoll test`, cheapest first. A phase says which tests it has before it builds
anything, and runs the selected ones."""
import ast
import concurrent.futures
import importlib.util
import json
import os
import re
import subprocess
import sys
import time

from atoll.build import build_image_parts, configure, lwip_arguments, locked, run_ninja
from atoll.errors import ToolError
from atoll.paths import ROOT, TOOLS, build_directory
from atoll.testing import system
from atoll.testing.lines import run_lines

PYTHON = "/usr/bin/python3"
CHECK_SECONDS, UNITTEST_SECONDS, MODEL_SECONDS, FUZZ_SECONDS = 300, 600, 1500, 1800
UNIT_SECONDS = 120


class Phase:
    """title; names(): what there is; run(): records a result for every selected name."""

    def __init__(self, options):
        self.options = options


class ProgramPhase(Phase):
    """Checks that are one program each: exit status 0 is a pass."""

    commands = {}

    def names(self):
        return [name for name in self.commands]

    def run(self, selected, reporter):
        for name in selected:
            run_program(name, self.commands[name], reporter, CHECK_SECONDS)


def run_program(name, command, reporter, timeout_s):
    started = time.monotonic()
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              errors="replace", timeout=timeout_s, cwd=ROOT)
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode("utf-8", "replace")
        reporter.fails(name, timeout_s, f"{output}\nno end after {timeout_s} s")
        return
    except OSError as error:
        reporter.fails(name, 0.0, f"{command[0]}: {error.strerror}")
        return
    seconds = time.monotonic() - started
    if done.returncode == 0:
        reporter.passes(name, seconds)
    else:
        reporter.fails(name, seconds, f"{done.stdout}\nexit status {done.returncode}")


class FastPhase(ProgramPhase):
    title = "fast checks"
    commands = {
        "check/format": [PYTHON, TOOLS / "format.py"],
        "check/tidy": [PYTHON, TOOLS / "tidy.py"],
        "check/headers": [PYTHON, TOOLS / "headers.py"],
        "check/size": [PYTHON, TOOLS / "size.py"],  # @impl ATL-LLR-TOOL-0052~1
        "check/gate_document": [PYTHON, TOOLS / "generated.py"],
        "check/trace_events": [PYTHON, ROOT / "debug/generate_trace.py", "--document",
                               ROOT / "posix/include/atoll/trace_abi.h", "--document",
                               ROOT / "docs/DEBUGGING.md", "--check"],
        "check/posix_document": [PYTHON, ROOT / "posix/generate_document.py", "--check"],
        "check/trace": [PYTHON, ROOT / "certification/bin/trace_check.py"],
        "check/hostin": [PYTHON, ROOT / "certification/bin/hostin_check.py"],
        "check/hostile_host": [PYTHON, ROOT / "certification/bin/hostile_check.py"],
    }


class UnittestPhase(Phase):
    """Python's own tests of the tool and of the certification scripts."""

    title = "tests of the tools"
    folders = {"tool": ROOT / "tests/tool", "certification": ROOT / "certification/tests"}

    def names(self):
        return [f"{group}/{name}" for group, folder in self.folders.items()
                for name in _unittest_names(folder)]

    def run(self, selected, reporter):
        for group, folder in self.folders.items():
            wanted = [n.removeprefix(group + "/") for n in selected if n.startswith(group + "/")]
            if wanted:
                run_lines([PYTHON, TOOLS / "atoll/testing/unittest_lines.py", folder, *wanted],
                          reporter, lambda name, group=group: f"{group}/{name}",
                          {f"{group}/{name}" for name in wanted}, UNITTEST_SECONDS, cwd=ROOT)


def _unittest_names(folder):
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.FunctionDef) and item.name.startswith("test"):
                        yield f"{path.stem}.{node.name}.{item.name}"


class UnitPhase(Phase):
    """The C unit tests of tests/unit, hosted and with sanitizers, as CMake registers them. A result
    is called after the test's file: unit/<folder>/<file>."""

    title = "unit tests"
    group = "unit"
    arguments = ["-DATOLL_PART=hosted", "-DATOLL_SANITIZE=ON"]
    other_phases = {"percpu_models"}  # registered for ctest, run by ModelPhase

    def names(self):
        return [f"unit/{path.parent.name}/{path.stem}"
                for path in sorted((ROOT / "tests/unit").glob("*/*_test.c"))]

    def run(self, selected, reporter):
        folder = build_directory() / self.group
        try:
            with locked(folder):
                configure(folder, [*self.arguments, *lwip_arguments(True)])
                run_ninja(folder, "Building unit tests", ["-k", "0"])
        except ToolError as error:
            reporter.fails("unit/build", 0.0, str(error))
        pattern = re.compile(self.options.filter or "")
        found = set()
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for test in _ctest_tests(folder):
                base, name = _unit_name(test["name"], self.names())
                found.add(base)
                known = base in selected or (base not in self.names() and pattern.search(name))
                if known and test["name"] not in self.other_phases:
                    pool.submit(_run_unit, name, test, reporter)
        for name in sorted(set(selected) - found):
            reporter.fails(name, 0.0, f"tests/{name}.c is not registered in CMake")


def _ctest_tests(folder):
    """What CMake registered; a test that was not built has no command."""
    done = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True,
                          text=True)
    try:
        return json.loads(done.stdout)["tests"]
    except (ValueError, KeyError):
        return []


def _unit_name(registered, names):
    """(name of the test's file, name of the result) of a test that CMake calls `registered`: the
    file's stem, or folder_stem; a variant with the thread sanitizer ends in _tsan."""
    plain = registered.removesuffix("_tsan")
    label = "[sanitizer=thread]" if plain != registered else ""
    for name in names:
        _, folder, stem = name.split("/")
        if plain in (stem, f"{folder}_{stem}"):
            return name, name + label
    return f"unit/{registered}", f"unit/{registered}"


def _run_unit(name, test, reporter):
    if "command" not in test:
        reporter.fails(name, 0.0, "it was not built: see unit/build")
        return
    properties = {p["name"]: p["value"] for p in test.get("properties", [])}
    limit = float(properties.get("TIMEOUT", UNIT_SECONDS))
    run_program(name, test["command"], reporter, limit)


class BuildPhase(ProgramPhase):
    title = "build and library direction"
    commands = {"check/direction": [PYTHON, TOOLS / "direction.py"]}

    def run(self, selected, reporter):
        started = time.monotonic()
        try:
            kernel, _ = build_image_parts()
        except ToolError as error:
            for name in selected:
                reporter.fails(name, time.monotonic() - started, str(error))
            return
        folder = build_directory() / "image"
        for name in selected:
            run_program(name, [*self.commands[name], folder], reporter, CHECK_SECONDS)


class ModelPhase(Phase):
    title = "models"
    program = ROOT / "percpu/models/run.py"

    def _models(self):
        """{name that run.py prints: name of the test}: the model's file, then the check."""
        if not self.program.exists():
            return {}
        specification = importlib.util.spec_from_file_location("atoll_models", self.program)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return {check[0]: f"model/{check[1]}.{check[0]}" for check in module.CHECKS}

    def names(self):
        return list(self._models().values())

    def run(self, selected, reporter):
        models = self._models()
        wanted = set(selected)
        # run.py selects by prefix; without a filter it runs everything anyway.
        prefixes = [] if len(wanted) == len(models) else [n for n, full in models.items()
                                                          if full in wanted]
        run_lines([PYTHON, self.program, *prefixes], reporter, lambda name: models.get(name, name),
                  wanted, MODEL_SECONDS, cwd=ROOT)


class SystemPhase(Phase):
    title = "system tests"

    def _cases(self):
        return system.cases(self.options.full)

    def names(self):
        return list(self._cases())

    def run(self, selected, reporter):
        cases = self._cases()
        try:
            system.run_cases({n: cases[n] for n in selected}, reporter, self.options.jobs)
        except ToolError as error:
            reporter.fails("system/build", 0.0, str(error))


class FigurePhase(ProgramPhase):
    """Instructions of the basic operations, beside those that were accepted."""

    title = "figures"
    commands = {"bench/baseline": [ROOT / "atoll", "bench", "--check"]}


class FuzzPhase(Phase):
    title = "fuzzing"
    program = ROOT / "fuzz/run.py"

    def names(self):
        return [f"fuzz/fuzz_{path.stem.removesuffix('_fuzz')}"
                for path in sorted((ROOT / "fuzz").glob("*_fuzz.c"))]

    def run(self, selected, reporter):
        targets = [name.removeprefix("fuzz/fuzz_") for name in selected]
        seconds = 10 if self.options.full else 3
        words = [word for target in targets for word in ("--target", target)]
        run_lines([PYTHON, self.program, "--seconds", seconds, "--build", build_directory() / "fuzz",
                   *words], reporter, lambda name: "fuzz/" + name,
                  set(selected), FUZZ_SECONDS, cwd=ROOT)


class ResultsPhase(ProgramPhase):
    """Every test that a requirement names ran and passed. Only after a whole run."""

    title = "requirements against results"
    commands = {"check/trace_results": [PYTHON, ROOT / "certification/bin/trace_check.py"]}

    def names(self):
        return [] if self.options.filter else list(self.commands)

    def run(self, selected, reporter):
        results = build_directory() / "results.jsonl"
        for name in selected:
            run_program(name, [*self.commands[name], "--results", results], reporter, CHECK_SECONDS)


PHASES = (FastPhase, UnittestPhase, UnitPhase, BuildPhase, ModelPhase, SystemPhase, FigurePhase, FuzzPhase,
          ResultsPhase)
sys.dont_write_bytecode = True
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
