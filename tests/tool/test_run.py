# SPDX-License-Identifier: Apache-2.0
"""`./atoll run` against a stand-in kernel: streams, status, and every way a machine may end."""
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import support
from atoll.console import encode_output

ATOLL = support.ROOT / "atoll"


def atoll_run(kernel, *options, **keywords):
    return support.run(ATOLL, "run", "--kernel", kernel, "--posix", support.posix_elf(), *options,
                       support.hello(), **keywords)


class RunTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0013~1 @robust
    def test_streams_and_status_on_both_machines(self):
        kernel = support.kernel_elf("streams", [b"noise", (3, b"log\n"), (1, b"out\n"), (2, b"err\n"),
                                                (5, b"important\n"), (4, b"\0\xc8\0\0")])
        for machine in ("q35", "microvm"):
            done = atoll_run(kernel, "--machine", machine)
            self.assertEqual(done.stdout, b"out\n")
            self.assertEqual(done.stderr, b"err\nimportant\n")
            self.assertEqual(done.returncode, 200)

    # @verifies ATL-LLR-TOOL-0013~1 @robust
    def test_verbose_shows_the_log(self):
        kernel = support.kernel_elf("verbose", [b"noise", (3, b"log\n"), (4, b"\0\0\0\0")])
        done = atoll_run(kernel, "--verbose")
        self.assertEqual(done.returncode, 0)
        self.assertIn(b"log\n", done.stderr)
        self.assertIn(b"noise", done.stderr)
        self.assertEqual(done.stdout, b"")

    # @verifies ATL-LLR-TOOL-0013~1 @robust
    def test_status_of_signal_panic_refusal_and_silence(self):
        for name, record, status, text in (("signal", b"\1\0\x0b\0", 139, b"signal 11"),
                                           ("panic", b"\2\0\0\0", 255, b"fault of Atoll"),
                                           ("refused", b"\3\0\0\0", 125, b"refused")):
            done = atoll_run(support.kernel_elf(name, [(5, b"report\n"), (4, record)]))
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(text, done.stderr)
            self.assertIn(b"report", done.stderr)
        done = atoll_run(support.kernel_elf("silent", [b"last words"]))
        self.assertEqual(done.returncode, 254)
        self.assertIn(b"last words", done.stderr)

    # @verifies ATL-LLR-TOOL-0011~1
    def test_input_reaches_the_guest(self):
        first = encode_output(3, b"ready")
        kernel = support.kernel_elf("echo", [first, (1, b"got it\n"), (4, b"\0\0\0\0")],
                                    f"-DECHO={len(first)}")
        done = atoll_run(kernel, input=b"*five")
        self.assertEqual((done.stdout, done.returncode), (b"got it\n", ord("*")))

    # @verifies ATL-LLR-TOOL-0013~1 @robust
    def test_timeout_stops_a_hanging_machine(self):
        kernel = support.kernel_elf("hang", [(1, b"before\n")], "-DHANG")
        done = atoll_run(kernel, "--timeout", "2")
        self.assertEqual((done.stdout, done.returncode), (b"before\n", 124))

    # @verifies ATL-LLR-TOOL-0013~1 @robust
    def test_hang_after_the_record_is_no_failure(self):
        kernel = support.kernel_elf("late", [(4, b"\0\5\0\0")], "-DHANG")
        self.assertEqual(atoll_run(kernel).returncode, 5)

    # @verifies ATL-LLR-TOOL-0014~1 @robust
    def test_interrupt_cleans_up(self):
        kernel = support.kernel_elf("interrupt", [(1, b"here\n")], "-DHANG")
        with tempfile.TemporaryDirectory() as folder:
            for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                process = subprocess.Popen(
                    [ATOLL, "run", "--kernel", kernel, "--posix", support.posix_elf(), support.hello()],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE,
                    env=dict(os.environ, TMPDIR=folder))
                self.assertEqual(process.stdout.readline(), b"here\n")
                process.send_signal(number)
                process.communicate(timeout=20)
                self.assertEqual(process.returncode, status)
                self.assertEqual(list(pathlib.Path(folder).iterdir()), [])
                self.assertEqual(_machines_of(folder), [])

    # @verifies ATL-LLR-TOOL-0014~1 @robust
    def test_killed_tool_leaves_no_machine(self):
        kernel = support.kernel_elf("killed", [(1, b"here\n")], "-DHANG")
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.Popen(
                [ATOLL, "run", "--kernel", kernel, "--posix", support.posix_elf(), support.hello()],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.PIPE,
                env=dict(os.environ, TMPDIR=folder))
            self.assertEqual(process.stdout.readline(), b"here\n")
            self.assertEqual(len(_machines_of(folder)), 1)
            process.kill()
            process.communicate(timeout=20)
            for _ in range(50):
                if not _machines_of(folder):
                    break
                time.sleep(0.1)
            self.assertEqual(_machines_of(folder), [])

    def test_closed_output_ends_the_run(self):
        kernel = support.kernel_elf("pipe", [(1, b"x" * 4096)] * 40, "-DHANG")
        process = subprocess.Popen(
            [ATOLL, "run", "--kernel", kernel, "--posix", support.posix_elf(), support.hello()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        process.stdout.close()
        process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(30), 141)


def _machines_of(folder):
    """Process ids whose command line names a file below the folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if b"qemu-system" in line and str(folder).encode() in line:
            found.append(entry.parent.name)
    return found


if __name__ == "__main__":
    unittest.main()
