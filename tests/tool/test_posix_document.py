# SPDX-License-Identifier: Apache-2.0
"""docs/POSIX.md: what keeps it honest."""
import shutil
import sys
import tempfile
import unittest
import pathlib

import support


class PosixDocumentTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "docs").mkdir()
        (self.root / "posix").mkdir()
        for name in ("generate_document.py", "generate_syscalls.py", "syscalls.toml", "document.toml"):
            shutil.copy(support.ROOT / "posix" / name, self.root / "posix")
        shutil.copytree(support.ROOT / "tools/atoll/live", self.root / "tools/atoll/live")

    def generate(self, *words):
        return support.run(sys.executable, self.root / "posix/generate_document.py", *words)

    def change(self, name, before, after):
        path = self.root / "posix" / name
        text = path.read_text()
        self.assertIn(before, text)
        path.write_text(text.replace(before, after, 1))

    def row(self, start):
        lines = (self.root / "docs/POSIX.md").read_text().splitlines()
        return next(line for line in lines if line.startswith(start))

    # @verifies ATL-LLR-TOOL-0047~1
    def test_a_page_that_is_not_fresh_is_noticed(self):
        self.assertEqual(self.generate("--check").returncode, 1)
        self.assertEqual(self.generate().returncode, 0)
        self.assertEqual(self.generate("--check").returncode, 0)
        self.assertEqual(self.row("| `write` |"), "| `write` | 1 | implemented | `posix/file` |")
        self.change("syscalls.toml", 'name = "write", state = "implemented", arguments = 3, part = "file"',
                    'name = "write", state = "later"')
        self.assertEqual(self.generate("--check").returncode, 1)
        self.assertEqual(self.generate().returncode, 0)
        self.assertEqual(self.row("| `write` |"), "| `write` | 1 | later | ENOSYS |")
        self.assertIn("absent: `write`", self.row("| PSE51 | POSIX_DEVICE_IO | `write`"))

    # @verifies ATL-LLR-TOOL-0047~1
    def test_a_refused_call_needs_a_reason(self):
        self.change("document.toml", '"fork", ', "")
        done = self.generate()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"say why fork is refused", done.stderr)

    # @verifies ATL-LLR-TOOL-0047~1
    def test_names_that_are_no_calls_are_noticed(self):
        self.change("document.toml", '"fork", ', '"fork", "spoon", ')
        self.assertIn(b"'spoon' is no system call", self.generate().stderr)


if __name__ == "__main__":
    unittest.main()
