# SPDX-License-Identifier: Apache-2.0
"""`./atoll` where Python is missing: a namespace of its own shows /dev/null in its place, and an apt-get that only
tells what it was called with takes that away again."""
import os
import pathlib
import pty
import shlex
import subprocess
import tempfile
import unittest

import support

ATOLL = support.ROOT / "atoll"
APT_GET = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$2" != install ] || umount "$PYTHON"
"""


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="atoll-command-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.calls = self.folder / "calls"
        (self.folder / "apt-get").write_text(APT_GET)
        (self.folder / "apt-get").chmod(0o755)
        self.python = pathlib.Path("/usr/bin/python3").resolve()

    def without_python(self, ci, **options):
        """Runs `./atoll --help` where there is no Python until apt-get was asked for it."""
        script = f"mount --bind /dev/null {self.python} && exec {shlex.quote(str(ATOLL))} --help"
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "CALLS": str(self.calls),
                       "PYTHON": str(self.python)}
        environment.pop("CI", None)
        if ci:
            environment["CI"] = "true"
        return subprocess.run(["unshare", "-rm", "sh", "-c", script], env=environment, capture_output=True,
                              timeout=60, **options)

    def called(self):
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def at_a_terminal(self, answer):
        mine, its = pty.openpty()
        try:
            os.write(mine, answer)
            return self.without_python(ci=False, stdin=its)
        finally:
            os.close(mine)
            os.close(its)

    def expect_installed(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"usage: ./atoll COMMAND", done.stdout)
        self.assertEqual(self.called(), ["-q update", "-q install -y --no-install-recommends python3"])

    def expect_refused(self, done, text):
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/usr/bin/python3 is missing", done.stderr)
        self.assertIn(text, done.stderr + done.stdout)
        self.assertEqual(self.called(), [])

    # @verifies ATL-LLR-TOOL-1390~1
    def test_python_is_installed_at_once_with_ci(self):
        self.expect_installed(self.without_python(ci=True, stdin=subprocess.DEVNULL))

    # @verifies ATL-LLR-TOOL-1390~1
    def test_python_is_installed_after_a_yes(self):
        self.expect_installed(self.at_a_terminal(b"y\n"))

    # @verifies ATL-LLR-TOOL-1390~1
    def test_nothing_is_installed_after_a_no(self):
        for answer in (b"n\n", b"\n", b"\x04"):
            with self.subTest(answer=answer):
                self.expect_refused(self.at_a_terminal(answer), b"Install it now (apt-get)? [y/N]")

    # @verifies ATL-LLR-TOOL-1390~1
    def test_nobody_to_ask_is_told_what_to_do(self):
        self.expect_refused(self.without_python(ci=False, stdin=subprocess.DEVNULL), b"apt-get install python3")

    # @verifies ATL-LLR-TOOL-1390~1
    def test_the_command_is_found_by_a_link_and_keeps_arguments(self):
        link = self.folder / "atoll"
        link.symlink_to(ATOLL)
        done = support.run(link, "inspect", self.folder / "two words")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"two words", done.stderr)


if __name__ == "__main__":
    unittest.main()
