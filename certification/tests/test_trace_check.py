# SPDX-License-Identifier: Apache-2.0
"""One bad and one good fixture for each rule of trace_check.

GOOD is a complete small tree without errors. A bad fixture is GOOD with one edit and must give
exactly its rule; a good fixture is GOOD with a neighbouring edit that the rule must let pass."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BIN = pathlib.Path(__file__).resolve().parents[1] / "bin"
sys.path.insert(0, str(BIN))
sys.dont_write_bytecode = True
import trace_check  # noqa: E402

SYS, HLR, LLR = "ATL-SYS-ATOLL-0001", "ATL-HLR-DEMO-0001", "ATL-LLR-DEMO-0001"
REQ = "certification/requirements/demo.toml"
CODE = "kernel/demo.c"
TEST = "tests/unit/demo/demo_test.c"


def row(name, parents, text, verify='["test"]', robust="false", extra=""):
    return (f'[[req]]\nid = "{name}"\nrev = 1\nstatus = "approved"\n{parents}\n'
            f'text = "{text}"\nverify = {verify}\nrobust = {robust}\nclass = "qm"\n{extra}\n')


# Tags are put together here so that the checker, run on this repository, does not read them.
IMPL, VERIFIES, ROBUST, PROVES = "@" + "impl", "@" + "verifies", "@" + "robust", "@" + "proves"

GOOD = {
    REQ: row(SYS, "parents = []", "The system shall count.")
    + row(HLR, f'parents = ["{SYS}"]', "The counter shall count.")
    + row(LLR, f'parents = ["{HLR}"]', "If asked, the counter shall add one.", robust="true"),
    CODE: f"/* {IMPL} {LLR}~1 */\nint demo_count(int value)\n{{\n    return value + 1;\n}}\n",
    TEST: f"/* {VERIFIES} {LLR}~1 {ROBUST} */\nTEST(adds_one)\n{{\n}}\n",
}
PASSED = [{"test": "unit/demo_test", "result": "pass"}]

# rule -> (bad edit, good edit); an edit is [(file, old, new)], old None appends; new None removes
EDITS = {
    "T01": ([(REQ, None, row("ATL-LLR-demo-2", f'parents = ["{HLR}"]', "It shall x.").replace(
        "approved", "draft"))],
            [(REQ, LLR, "ATL-LLR-DEMO2X-0001"), (CODE, LLR, "ATL-LLR-DEMO2X-0001"),
             (TEST, LLR, "ATL-LLR-DEMO2X-0001")]),
    "T02": ([(REQ, None, row(SYS, "parents = []", "The system shall count."))],
            [(REQ, None, row("ATL-SYS-ATOLL-0002", "parents = []", "The system shall stop.").replace(
                "approved", "draft"))]),
    "T03": ([(REQ, 'class = "qm"', 'class = "fun"')], [(REQ, 'class = "qm"', 'class = "safety"')]),
    "T04": ([(REQ, "the counter shall add one", "the counter shall add one and shall stop")],
            [(REQ, "the counter shall add one", "the counter shall add one at once")]),
    "T10": ([(TEST, f"{LLR}~1", f"{LLR}~1 ATL-LLR-DEMO-0099~1")],
            [(TEST, f"{LLR}~1", f"{LLR}~1, {HLR}~1")]),
    "T12": ([(CODE, "~1", "~2")], [(CODE, "~1 */", "~1\n */")]),
    "T13": ([(CODE, None, f"/* {VERIFIES} {LLR}~1 */\n")], [(CODE, None, f"/* {IMPL} {LLR}~1 */\n")]),
    "T14": ([(CODE, None, "int demo_other(void)\n{\n    return 0;\n}\n")],
            [(CODE, None, "static int other(void)\n{\n    return 0;\n}\n")]),
    "T15": ([("tests/unit/demo/empty_test.c", None, "TEST(nothing)\n{\n}\n")],
            [("tests/unit/demo/empty_test.c", None, f"/* {VERIFIES} {LLR}~1 */\nTEST(one)\n{{\n}}\n")]),
    "T20": ([(REQ, f'parents = ["{HLR}"]', f'parents = ["{HLR}", "ATL-HLR-DEMO-0009"]')],
            [(REQ, f'parents = ["{HLR}"]', f'parents = ["{HLR}", "{HLR}"]')]),
    "T21": ([(REQ, None, row("ATL-LLR-DEMO-0002", "parents = []", "It shall x.").replace(
        "approved", "draft"))],
            [(REQ, None, row("ATL-LLR-DEMO-0002", 'derived_rationale = "design"', "It shall x.").replace(
                "approved", "draft"))]),
    "T22": ([(REQ, None, row("ATL-SYS-ATOLL-0002", "parents = []", "The system shall stop."))],
            [(REQ, None, row("ATL-SYS-ATOLL-0002", "parents = []", "The system shall stop.").replace(
                "approved", "draft"))]),
    "T23": ([(CODE, f"/* {IMPL} {LLR}~1 */\nint", "static int")],
            [(CODE, f"/* {IMPL} {LLR}~1 */\n", f"/* Counts.\n * {IMPL} {LLR}~1 */\n")]),
    "T24": ([(REQ, 'robust = true', 'robust = false'), (REQ, 'one."\nverify = ["test"]',
                                                         'one."\nverify = ["test", "proof"]')],
            [(REQ, 'one."\nverify = ["test"]', 'one."\nverify = ["test", "proof"]'),
             ("percpu/models/demo.pml", None, f"/* {PROVES} {LLR}~1 */\n")]),
    "T25": ([(TEST, f" {ROBUST}", "")],
            [(TEST, f"{VERIFIES} {LLR}~1 {ROBUST}", f"{ROBUST} {LLR}~1")]),
}


def edited(edits):
    tree = dict(GOOD)
    for file, old, new in edits:
        text = tree.get(file, "")
        if old is None:
            tree[file] = text + new
        else:
            assert old in text, (file, old)
            tree[file] = text.replace(old, new)
    return tree


class Tree:
    """A tree on disk; the ids of GOOD are accepted."""

    def __init__(self, files):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.write(files)

    def __del__(self):
        self.folder.cleanup()

    def write(self, files):
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def rules(self, results=None, accept=False):
        file = None
        if results is not None:
            file = self.root / "results.jsonl"
            file.write_text("".join(json.dumps(line) + "\n" for line in results))
        trace = trace_check.check(self.root, file, do_accept=accept)
        return sorted({error[2] for error in trace.errors})


# @verifies ATL-LLR-EVID-0001~1 ATL-LLR-EVID-0003~1 ATL-LLR-EVID-0004~1
# @verifies ATL-LLR-EVID-0005~1 ATL-LLR-EVID-0006~1
class RuleTest(unittest.TestCase):
    def test_good_tree_has_no_error(self):
        self.assertEqual(Tree(GOOD).rules(PASSED, accept=True), [])

    def test_bad_fixture_gives_its_rule(self):
        for rule, (bad, _) in EDITS.items():
            with self.subTest(rule):
                self.assertIn(rule, Tree(edited(bad)).rules(accept=True))

    def test_bad_fixture_gives_only_its_rule(self):
        consequences = {"T01": {"T05", "T20"}}  # such an id is not accepted and has no level
        for rule, (bad, _) in EDITS.items():
            with self.subTest(rule):
                found = set(Tree(edited(bad)).rules(accept=True))
                self.assertEqual(found - consequences.get(rule, set()), {rule})

    def test_good_fixture_passes(self):
        for rule, (_, good) in EDITS.items():
            with self.subTest(rule):
                self.assertEqual(Tree(edited(good)).rules(accept=True), [])

    def test_missing_field_is_reported(self):
        for field in ("rev", "status", "text", "verify", "robust", "class"):
            with self.subTest(field):
                lines = GOOD[REQ].splitlines()
                first = next(n for n, line in enumerate(lines) if line.startswith(field))
                tree = {**GOOD, REQ: "\n".join(lines[:first] + lines[first + 1:])}
                self.assertIn("T03", Tree(tree).rules(accept=True))

    def test_file_that_is_not_toml_is_reported(self):
        self.assertIn("T03", Tree({**GOOD, "certification/requirements/bad.toml": "[[req\n"}).rules(
            accept=True))

    def test_weak_word_is_reported(self):
        tree = edited([(REQ, "add one", "add one quickly")])
        self.assertEqual(Tree(tree).rules(accept=True), ["T04"])

    def test_high_level_requirement_may_be_tested_as_it_is(self):
        tree = edited([(REQ, None, row("ATL-HLR-DEMO-0002", f'parents = ["{SYS}"]', "It shall x."))])
        self.assertIn("T22", Tree(tree).rules(accept=True))
        tree[TEST] += f"/* {VERIFIES} ATL-HLR-DEMO-0002~1 */\n"
        self.assertEqual(Tree(tree).rules(accept=True), [])

    def test_citation_of_a_retired_id_is_reported(self):
        tree = edited([(REQ, None, row("ATL-LLR-DEMO-0002", f'parents = ["{HLR}"]', "It shall x.")
                        .replace("approved", "retired")),
                       (CODE, f"{LLR}~1", f"{LLR}~1 ATL-LLR-DEMO-0002~1")])
        self.assertEqual(Tree(tree).rules(accept=True), ["T11"])

    def test_retired_id_without_citation_passes(self):
        tree = edited([(REQ, None, row("ATL-LLR-DEMO-0002", f'parents = ["{HLR}"]', "It shall x.")
                        .replace("approved", "retired"))])
        self.assertEqual(Tree(tree).rules(accept=True), [])

    def test_citation_without_revision_is_reported(self):
        self.assertIn("T10", Tree(edited([(CODE, f"{LLR}~1", LLR)])).rules(accept=True))

    def test_citations_continue_on_the_next_comment_line(self):
        tree = edited([(TEST, f"{VERIFIES} {LLR}~1", f"{VERIFIES} {HLR}~1\n * {LLR}~1")])
        self.assertEqual(Tree(tree).rules(accept=True), [])

    def test_impl_in_a_test_is_reported(self):
        tree = edited([(TEST, None, f"/* {IMPL} {LLR}~1 */\n")])
        self.assertEqual(Tree(tree).rules(accept=True), ["T13"])

    def test_python_and_assembly_tags_are_read(self):
        tree = {**GOOD, "tools/a.py": f"# {IMPL} ATL-LLR-DEMO-0098~1\n",
                "kernel/b.S": f"/* {IMPL} ATL-LLR-DEMO-0099~1 */\n"}
        on_disk = Tree(tree)
        trace = trace_check.check(on_disk.root)
        self.assertEqual({e[0] for e in trace.errors if e[2] == "T10"}, {"tools/a.py", "kernel/b.S"})

    def test_monitored_file_may_keep_its_number_but_not_exceed_it(self):
        tree = Tree(edited([(CODE, None, "int demo_other(void)\n{\n    return 0;\n}\n")]))
        tree.write({"certification/t14_monitored.txt": f"1 {CODE}\n"})
        self.assertEqual(tree.rules(accept=True), [])
        tree.write({CODE: (tree.root / CODE).read_text() + "int demo_third(void)\n{\n}\n"})
        self.assertEqual(tree.rules(accept=True), ["T14"])
        tree.write({CODE: GOOD[CODE]})
        self.assertEqual(tree.rules(accept=True), [])
        self.assertNotIn(CODE, (tree.root / "certification/t14_monitored.txt").read_text())


# @verifies ATL-LLR-EVID-0002~1
class LockTest(unittest.TestCase):
    def test_new_id_must_be_accepted_once(self):
        tree = Tree(GOOD)
        self.assertEqual(tree.rules(), ["T05"])
        self.assertEqual(tree.rules(accept=True), [])
        self.assertEqual(tree.rules(), [])

    def test_changed_text_needs_a_new_revision(self):
        tree = Tree(GOOD)
        tree.rules(accept=True)
        tree.write(edited([(REQ, "add one", "add two")]))
        self.assertEqual(tree.rules(), ["T06"])
        self.assertEqual(tree.rules(accept=True), ["T06"])

    def test_raised_revision_is_accepted(self):
        tree = Tree(GOOD)
        tree.rules(accept=True)
        last = GOOD[REQ].rindex("rev = 1")
        raised = GOOD[REQ][:last] + "rev = 2" + GOOD[REQ][last + 7:]
        tree.write({REQ: raised.replace("add one", "add two"), CODE: GOOD[CODE].replace("~1", "~2"),
                    TEST: GOOD[TEST].replace("~1", "~2")})
        self.assertEqual(tree.rules(), ["T05"])
        self.assertEqual(tree.rules(accept=True), [])

    def test_lowered_revision_is_reported(self):
        tree = Tree(GOOD)
        tree.rules(accept=True)
        tree.write({"certification/requirements/ids.lock":
                    (tree.root / "certification/requirements/ids.lock").read_text().replace(
                        f"{LLR} 1", f"{LLR} 2")})
        self.assertEqual(tree.rules(accept=True), ["T06"])

    def test_white_space_does_not_count_as_a_change(self):
        tree = Tree(GOOD)
        tree.rules(accept=True)
        tree.write(edited([(REQ, "add one", "add  one")]))
        self.assertEqual(tree.rules(), [])

    def test_vanished_id_is_reported(self):
        tree = Tree(GOOD)
        tree.write({REQ: GOOD[REQ] + row("ATL-LLR-DEMO-0002", f'parents = ["{HLR}"]',
                                         "It shall x.").replace("approved", "draft")})
        tree.rules(accept=True)
        tree.write(GOOD)
        self.assertEqual(tree.rules(), ["T07"])
        self.assertEqual(tree.rules(accept=True), ["T07"])


# @verifies ATL-LLR-EVID-0007~1
class ResultTest(unittest.TestCase):
    def rules(self, *results):
        return Tree(GOOD).rules([{"test": t, "result": r} for t, r in results], accept=True)

    def test_passed_test_counts(self):
        self.assertEqual(self.rules(("demo_test", "pass")), [])

    def test_names_with_folder_and_configuration_count(self):
        self.assertEqual(self.rules(("unit/demo_test[ring=3,cores=2]", "pass")), [])

    def test_name_of_the_function_counts(self):
        self.assertEqual(self.rules(("unit/demo_test.adds_one", "pass")), [])

    def test_test_that_did_not_run_is_reported(self):
        self.assertEqual(self.rules(("other_test", "pass")), ["T30"])

    def test_failed_test_is_reported(self):
        self.assertEqual(self.rules(("demo_test", "pass"), ("demo_test[ring=0]", "fail")), ["T30"])

    def test_skipped_test_is_reported(self):
        self.assertEqual(self.rules(("demo_test", "skip")), ["T30"])

    def test_test_that_passed_somewhere_and_was_skipped_elsewhere_counts(self):
        self.assertEqual(self.rules(("demo_test[a]", "skip"), ("demo_test[b]", "pass")), [])


# @verifies ATL-LLR-EVID-0008~1
class CommandTest(unittest.TestCase):
    def run_command(self, tree, *options):
        return subprocess.run([sys.executable, BIN / "trace_check.py", "--root", tree.root, *options],
                              capture_output=True, text=True, check=False)

    def test_errors_carry_file_and_line_and_the_status_is_one(self):
        done = self.run_command(Tree(GOOD))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{REQ}:1: T05 {SYS}", done.stdout)

    def test_good_tree_ends_with_status_zero_and_a_summary(self):
        done = self.run_command(Tree(GOOD), "--accept")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("3 requirements, 1 @impl, 1 evidence tags", done.stdout)

    def test_results_file_that_is_missing_or_broken_ends_with_a_message(self):
        tree = Tree(GOOD)
        self.assertIn("run the tests first", self.run_command(tree, "--results", "/nonexistent").stderr)
        tree.write({"bad.jsonl": '{"test": "x"}\n'})
        done = self.run_command(tree, "--results", tree.root / "bad.jsonl")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no test name or no result", done.stderr)


if __name__ == "__main__":
    unittest.main()
