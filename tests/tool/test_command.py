# SPDX-License-Identifier: Apache-2.0
"""`./atoll` where Python is missing: a copy that looks for it elsewhere, and an apt-get that puts it there and tells what
it was called with."""
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

import support

PYTHON = "/usr/bin/python3"
APT_GET = """#!/bin/sh
echo "$*" >> "$CALLS"
[ "$2" != install ] || ln -s /usr/bin/python3 "$PYTHON"
"""


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="atoll-command-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.calls, self.python, self.atoll = (self.folder / name for name in ("calls", "python3", "atoll"))
        script = (support.ROOT / "atoll").read_text()
        self.assertEqual(script.count(f"python={PYTHON}\n"), 1)
        self.write("atoll", script.replace(f"python={PYTHON}", f"python={self.python}"))
        self.write("apt-get", APT_GET)
        (self.folder / "tools").symlink_to(support.ROOT / "tools")
        for name in ("dirname", "env", "id", "ln", "readlink", "sh"):
            (self.folder / name).symlink_to(shutil.which(name))

    def write(self, name, text):
        (self.folder / name).unlink(missing_ok=True)
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    def without_python(self, ci, **options):
        """Runs `./atoll --help` where there is no Python until apt-get was asked for it."""
        environment = {**os.environ, "PATH": str(self.folder), "CALLS": str(self.calls), "PYTHON": str(self.python)}
        environment.pop("CI", None)
        if ci:
            environment["CI"] = "true"
        return subprocess.run([self.atoll, "--help"], env=environment, capture_output=True, timeout=60, **options)

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
        self.assertIn(f"{self.python} is missing".encode(), done.stderr)
        self.assertIn(text, done.stderr + done.stdout)
        self.assertEqual(self.called(), [])

    # @verifies ATL-LLR-TOOL-1390~1
    def test_python_is_installed_by_sudo(self):
        self.write("id", "#!/bin/sh\necho 1000\n")
        self.write("sudo", "#!/bin/sh\nexec \"$@\"\n")
        self.expect_installed(self.without_python(ci=True, stdin=subprocess.DEVNULL))

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

    # @verifies ATL-LLR-TOOL-1390~1 @robust
    def test_what_cannot_be_installed_is_told(self):
        self.write("apt-get", "#!/bin/sh\n[ $2 = update ]\n")  # it knows no such package
        self.expect_refused(self.without_python(ci=True, stdin=subprocess.DEVNULL), b"apt-get did not install it")
        self.write("id", "#!/bin/sh\necho 1000\n")
        self.expect_refused(self.without_python(ci=True, stdin=subprocess.DEVNULL), b"as root: apt-get install python3")
        (self.folder / "apt-get").unlink()
        self.expect_refused(self.without_python(ci=True, stdin=subprocess.DEVNULL), b"this is not Debian")

    # @verifies ATL-LLR-TOOL-1390~1
    def test_the_command_is_found_by_a_link_and_keeps_arguments(self):
        link = self.folder / "link"
        link.symlink_to(support.ROOT / "atoll")
        done = support.run(link, "inspect", self.folder / "two words")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"two words", done.stderr)


if __name__ == "__main__":
    unittest.main()
