# SPDX-License-Identifier: Apache-2.0
"""The checkers of reads that the host can lie about, and of the table of what a host can do: on small
trees with one thing wrong, and on this repository."""
import pathlib
import sys
import tempfile
import unittest

BIN = pathlib.Path(__file__).resolve().parents[1] / "bin"
ROOT = BIN.parents[1]
sys.path.insert(0, str(BIN))
sys.dont_write_bytecode = True
import hostile_check  # noqa: E402
import hostin_check  # noqa: E402

CODE = """
/* cpu_in8( in a comment is none */
static uint8_t get(uint32_t port)
{
    return cpu_in8(port);
}

bool judge(uint8_t byte)
{
    return byte == 1;
}

bool look(void)
{
    return judge(get(1));
}

void put(uint64_t at)
{
    *(volatile uint8_t *)at = 1;
}
"""
OTHER = "static int get(void)\n{\n    return 1;\n}\n\nint use(void)\n{\n    return get();\n}\n"
TABLE = """
[[read]]
file = "kernel/a.c"
function = "get"
validator = "caller"
[[read]]
file = "kernel/a.c"
function = "look"
validator = "judge"
"""


class HostinTest(unittest.TestCase):
    def errors(self, code=CODE, table=TABLE):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in (("kernel/a.c", code), ("kernel/b.c", OTHER), ("certification/hostin.toml", table)):
                (root / name).parent.mkdir(exist_ok=True)
                (root / name).write_text(text)
            return hostin_check.check(root)[0]

    # @verifies ATL-LLR-VIRTIO-0872~1
    def test_each_read_is_found(self):
        self.assertEqual(self.errors(), [])
        for more, name in (("return cpu_rdmsr(1);", "more"), ("return *(volatile uint32_t *)at;", "more"),
                           ("return get(2);", "more")):
            wrong = self.errors(code=CODE + f"uint64_t {name}(void)\n{{\n    {more}\n}}\n")
            self.assertEqual(len(wrong), 1, more)
            self.assertIn(f"kernel/a.c: {name} reads", wrong[0])
        shared = TABLE + '[[memory]]\nfile = "kernel/b.c"\ntext = "return 1"\n'
        self.assertIn("kernel/b.c: get reads", self.errors(table=shared)[0])

    # @verifies ATL-LLR-VIRTIO-0872~1 @robust
    def test_rows_that_are_wrong(self):
        for old, new, message in (
                ('"look"\nvalidator = "judge"', '"look"\nvalidator = "nobody"', "no function nobody"),
                ('"look"\nvalidator = "judge"', '"look"\nvalidator = "none"', "say why"),
                ('function = "look"', 'function = "judge"', "judge of kernel/a.c reads nothing"),
                ('[[read]]', '[[memory]]\nfile = "kernel/a.c"\ntext = "nothing"\n[[read]]', "has no nothing"),
                (TABLE, TABLE + TABLE, "twice")):
            self.assertIn(message, "\n".join(self.errors(table=TABLE.replace(old, new, 1))))

    # @verifies ATL-LLR-VIRTIO-0872~1
    def test_this_repository(self):
        self.assertEqual(hostin_check.check(ROOT)[0], [])


class HostileTest(unittest.TestCase):
    def errors(self, table):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in (("tests/unit/a_test.c", "TEST(one)\n{\n}\n"), ("tests/system/test_b.py", "def test_two(guest):\n"),
                               ("fuzz/c_fuzz.c", ""), ("certification/hostile_host.toml", table)):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return "\n".join(hostile_check.check(root)[0])

    # @verifies ATL-LLR-VIRTIO-0873~1 @robust
    def test_rows_need_tests_that_exist_or_a_reason(self):
        right = '["unit/a_test.c:one", "system/test_b.py:test_two", "fuzz/c_fuzz.c"]'
        self.assertEqual(self.errors(f'[[row]]\nwhat = "x"\ntests = {right}\n[[row]]\nwhat = "y"\nreason = "none"\n'), "")
        for row, message in ((f'tests = {right}\nreason = "z"', "either tests or a reason"), ("", "either"),
                             ('tests = ["unit/a_test.c:two"]', "no test two"), ('tests = ["unit/a_test.c"]', "which of"),
                             ('tests = ["fuzz/d_fuzz.c"]', "there is no fuzz/d_fuzz.c"),
                             ('tests = ["system/test_b.py:two"]', "no test two"), ('reason = "z"\nmore = 1', "either")):
            self.assertIn(message, self.errors(f'[[row]]\nwhat = "x"\n{row}\n'))

    # @verifies ATL-LLR-VIRTIO-0873~1
    def test_this_repository(self):
        self.assertEqual(hostile_check.check(ROOT)[0], [])


if __name__ == "__main__":
    unittest.main()
