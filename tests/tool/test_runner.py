# SPDX-License-Identifier: Apache-2.0
"""The runner itself: what it counts, what it does not believe, and how it chooses configurations."""
import contextlib
import io
import itertools
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest

import support
from atoll.main import COMMANDS
from atoll.options import add_image_options, add_machine_options, split_command
from atoll.packages import read_packages
from atoll.testing.lines import run_lines
from atoll.testing.pairwise import each, full, pairwise
from atoll.testing.results import Reporter


class Recorded:
    """A reporter on a temporary folder, with its output."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.reporter = Reporter(pathlib.Path(self.folder.name))
        self.output = io.StringIO()
        self._redirect = contextlib.redirect_stdout(self.output)
        self._redirect.__enter__()
        return self

    def __exit__(self, *error):
        self._redirect.__exit__(*error)
        self.reporter.close()
        self.rows = [json.loads(line) for line in
                     (pathlib.Path(self.folder.name) / "results.jsonl").read_text().splitlines()]
        self.folder.cleanup()


class ReporterTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_counts_lines_and_file(self):
        with Recorded() as recorded:
            recorded.reporter.passes("a", 1.23, image="x")
            recorded.reporter.fails("b/c[d=1]", 0.5, "3 passed, 0 failed\nPASS x")
            recorded.reporter.skips("e", "why")
        lines = recorded.output.getvalue().splitlines()
        self.assertEqual(lines[0], "PASS a (1.2 s)")
        self.assertTrue(lines[1].startswith("FAIL b/c[d=1] log: "))
        self.assertEqual(lines[2:], ["    3 passed, 0 failed", "    PASS x", "SKIP e: why"])
        self.assertEqual(recorded.reporter.summary(), "1 passed, 1 failed, 1 skipped")
        self.assertEqual([r["result"] for r in recorded.rows], ["pass", "fail", "skip"])
        self.assertEqual(recorded.rows[0]["image"], "x")

    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_second_result_is_a_failure(self):
        with Recorded() as recorded:
            recorded.reporter.passes("a", 0)
            recorded.reporter.passes("a", 0)
        self.assertEqual((recorded.reporter.passed, recorded.reporter.failed), (1, 1))


class LinesTest(unittest.TestCase):
    def run_script(self, script, wanted, timeout_s=20):
        with Recorded() as recorded:
            run_lines(["/bin/sh", "-c", script], recorded.reporter, lambda n: "x/" + n, wanted, timeout_s)
        return {row["test"]: row["result"] for row in recorded.rows}

    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_results_of_a_program(self):
        got = self.run_script("echo noise; echo 'PASS a (1 s)'; echo 'FAIL b: why'; echo SKIP c: no; exit 1",
                              {"x/a", "x/b", "x/c"})
        self.assertEqual(got, {"x/a": "pass", "x/b": "fail", "x/c": "skip"})

    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_missing_result_is_a_failure(self):
        self.assertEqual(self.run_script("echo PASS a", {"x/a", "x/b"}), {"x/a": "pass", "x/b": "fail"})

    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_bad_status_without_a_failed_test_is_a_failure(self):
        got = self.run_script("echo PASS a; exit 3", {"x/a"})
        self.assertEqual(sorted(got.values()), ["fail", "pass"])

    # @verifies ATL-LLR-TOOL-0030~1 @robust
    def test_program_that_hangs_is_ended(self):
        got = self.run_script("echo PASS a; sleep 100 & sleep 100", {"x/a", "x/b"}, timeout_s=1)
        self.assertEqual(got, {"x/a": "pass", "x/b": "fail"})


class PairwiseTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0031~1
    def test_every_pair_is_there_and_rows_repeat(self):
        axes = {"ring": (3, 0), "cores": (2, 1, 4), "machine": ("a", "b"), "size": tuple(range(6))}
        rows = pairwise(axes)
        self.assertEqual(rows, pairwise(axes))
        self.assertLess(len(rows), len(full(axes)) // 2)
        for (a, values), (b, others) in itertools.combinations(axes.items(), 2):
            for pair in itertools.product(values, others):
                self.assertIn(pair, [(row[a], row[b]) for row in rows])

    # @verifies ATL-LLR-TOOL-1041~1
    def test_each_value_is_there(self):
        axes = {"ring": (3, 0), "cores": (2, 1, 4), "libc": ("musl",)}
        self.assertEqual(each(axes), [{"ring": 3, "cores": 2, "libc": "musl"}, {"ring": 0, "cores": 1, "libc": "musl"},
                                      {"ring": 3, "cores": 4, "libc": "musl"}])

    def test_one_axis(self):
        self.assertEqual(pairwise({"a": (1, 2)}), [{"a": 1}, {"a": 2}])


class OptionsTest(unittest.TestCase):
    def split(self, *words):
        import argparse
        parser = argparse.ArgumentParser()
        add_image_options(parser)
        add_machine_options(parser)
        return split_command(parser, list(words))

    def test_words_behind_the_program_are_its_own(self):
        self.assertEqual(self.split("--cores", "2", "-v", "prog", "--cores", "3"),
                         (["--cores", "2", "-v"], ["prog", "--cores", "3"]))
        self.assertEqual(self.split("--cores=2", "--", "-prog"), (["--cores=2"], ["-prog"]))
        self.assertEqual(self.split(), ([], []))


class CommandTest(unittest.TestCase):
    def test_help_and_mistakes(self):
        for command in COMMANDS:
            done = support.run(support.ROOT / "atoll", command, "--help")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b"usage: ./atoll " + command.encode(), done.stdout)
        for words, status in ((["nonsense"], 2), ([], 2), (["run", "/does/not/exist"], 125),
                              (["run", "--cores", "0", "x"], 2), (["run", "--ring", "1", "x"], 2),
                              (["pack", "x"], 2), (["inspect", "/does/not/exist"], 1), (["test", "--filter", "("], 1),
                              (["test", "--filter", "no such test"], 1)):
            done = support.run(support.ROOT / "atoll", *words)
            self.assertEqual(done.returncode, status, words)
            self.assertTrue(done.stderr if words else done.stdout)

    def test_who_reads_no_help_is_no_trouble(self):
        for words in (["--help"], ["run", "--help"]):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([support.ROOT / "atoll", *words], stdout=writer, stderr=subprocess.PIPE, timeout=60)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (128 + signal.SIGPIPE, b""), words)

    def test_packages_are_well_formed(self):
        packages = read_packages()
        self.assertEqual(len({p.name for p in packages}), len(packages))
        for package in packages:
            self.assertIn(package.use, ("run", "test", "full"))
            self.assertTrue(package.evidence and package.reason)


if __name__ == "__main__":
    unittest.main()
