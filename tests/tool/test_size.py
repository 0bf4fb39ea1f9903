# SPDX-License-Identifier: Apache-2.0
"""The check of the trusted kernel's size: what it counts, and that it can fail."""
import pathlib
import tempfile
import unittest

import support

CODE = """/* SPDX-License-Identifier: Apache-2.0 */
/* Several
 * lines. */
#include "a.h" // counts

int a; /* counts too */
    /* does not */
"""


def size(files):
    """(exit status, output) of the check on a tree of files."""
    with tempfile.TemporaryDirectory() as folder:
        for top in ("kernel", "percpu", "isolation"):
            (pathlib.Path(folder) / top).mkdir()
        for name, text in files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = support.run("python3", support.ROOT / "tools/size.py", folder)
    return done.returncode, done.stdout.decode()


class SizeTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0052~1
    def test_counts_code_alone_for_each_folder(self):
        status, output = size({"kernel/boot/a.c": CODE, "kernel/boot/deep/b.h": CODE, "kernel/c.S": CODE,
                               "percpu/d.c": CODE, "percpu/host/e.c": CODE, "isolation/tests/f.c": CODE,
                               "isolation/README.md": CODE, "posix/g.c": CODE, "policy/h.c": CODE})
        self.assertEqual(status, 0)
        lines = output.splitlines()
        self.assertEqual(lines[0].split(), ["2", "policy"])
        self.assertTrue(lines[1].strip().startswith("2 lines of code in the network policy"))
        self.assertEqual([line.split() for line in lines[2:-1]],
                         [["2", "kernel"], ["4", "kernel/boot"], ["2", "percpu"]])
        self.assertTrue(lines[-1].strip().startswith("8 lines"))

    # @verifies ATL-LLR-TOOL-0052~1 @robust
    def test_fails_above_the_limit(self):
        self.assertEqual(size({"percpu/a.c": "x;\n" * 10000})[0], 0)
        status, output = size({"percpu/a.c": "x;\n" * 9999, "kernel/b.S": "nop\nnop\n"})
        self.assertEqual(status, 1)
        self.assertIn(" 10001 lines", output)
        status, output = size({"policy/a.c": "x;\n" * 301})
        self.assertEqual(status, 1)
        self.assertIn("   301 lines", output)


if __name__ == "__main__":
    unittest.main()
