# SPDX-License-Identifier: Apache-2.0
"""What `--out` makes of the stream of a guest, good and hostile."""
import errno
import os
import pathlib
import random
import stat
import tempfile
import unittest

import support  # noqa: F401
from atoll.native_code import crc32c
from atoll.receive import DIRECTORY, END, ERROR, FILE, LINK, RECORD, Receiver


def record(kind, below=b"", content=b"", request=0, mode=0o644, count=None, crc=None):
    has_content = kind in (FILE, LINK)
    head = RECORD.pack(kind, 0, request, mode, len(content) if count is None else count, 1000,
                       len(below))
    tail = (crc32c(content) if crc is None else crc).to_bytes(4, "little") if has_content else b""
    return head + below + content + tail


class ReceiveTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.receiver = Receiver([("/out", self.folder / "out"), ("/file", self.folder / "file")])

    def feed(self, *records):
        for piece in records:
            self.receiver.feed(piece)
        return self.receiver.finish()

    # @verifies ATL-LLR-TOOL-0046~1
    def test_a_tree_cut_anywhere(self):
        content = random.Random(1).randbytes(10000)
        data = (record(DIRECTORY) + record(FILE, b"a", content, mode=stat.S_IFREG | 0o4750)
                + record(DIRECTORY, b"sub") + record(LINK, b"sub/link", b"../a")
                + record(FILE, b"", b"one", request=1) + record(END))
        cut = random.Random(2)
        while data:
            size = cut.randrange(1, 3000)
            self.receiver.feed(data[:size])
            data = data[size:]
        self.assertEqual(self.receiver.finish(), [])
        self.assertEqual((self.folder / "out/a").read_bytes(), content)
        self.assertEqual(stat.S_IMODE((self.folder / "out/a").stat().st_mode), 0o750)
        self.assertEqual(int((self.folder / "out/a").stat().st_mtime), 1000)
        self.assertEqual(os.readlink(self.folder / "out/sub/link"), "../a")
        self.assertEqual((self.folder / "file").read_bytes(), b"one")

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_an_early_end_is_told_and_leaves_no_half_file(self):
        whole = record(FILE, b"", b"x" * 5000, request=1)
        problems = self.feed(whole[:4000])
        self.assertIn("before everything was handed back", problems[0])
        self.assertEqual(os.listdir(self.folder), [])

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_errors_of_the_guest_are_named(self):
        problems = self.feed(record(ERROR, b"a", count=errno.EACCES), record(END))
        self.assertEqual(problems, ["/out/a: Permission denied in the guest"])

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_a_wrong_checksum_ends_it(self):
        problems = self.feed(record(FILE, b"", b"abc", request=1, crc=5), record(END))
        self.assertEqual(problems, ["a file's checksum is wrong"])
        self.assertFalse((self.folder / "file").exists())

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_paths_that_lead_elsewhere_are_refused(self):
        (self.folder / "victim").mkdir()
        for below in (b"../victim/x", b"/etc/x", b"a/../../x", b"", b".", b"a//b", b"a\0b"):
            if below:
                receiver = Receiver([("/out", self.folder / "out")])
                receiver.feed(record(DIRECTORY) + record(FILE, below, b"evil") + record(END))
                self.assertEqual(len(receiver.finish()), 1, below)
        link = record(LINK, b"way", os.fsencode(self.folder / "victim"))
        for more in (record(FILE, b"way/x", b"evil"), record(DIRECTORY, b"way")):
            receiver = Receiver([("/out", self.folder / "out")])
            receiver.feed(record(DIRECTORY) + link + more + record(END))
            self.assertEqual(len(receiver.finish()), 1)
        self.assertEqual(os.listdir(self.folder / "victim"), [])
        self.assertEqual(sorted(os.listdir(self.folder)), ["out", "victim"])

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_a_file_over_a_link_replaces_the_link(self):
        (self.folder / "victim").write_bytes(b"safe")
        (self.folder / "out").mkdir()
        (self.folder / "out/a").symlink_to(self.folder / "victim")
        self.assertEqual(self.feed(record(DIRECTORY), record(FILE, b"a", b"new"), record(END)), [])
        self.assertEqual((self.folder / "victim").read_bytes(), b"safe")
        self.assertEqual((self.folder / "out/a").read_bytes(), b"new")

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_noise_is_refused(self):
        for data in (b"\xff" * 100, record(FILE, b"", b"x", request=9), record(FILE, b"x" * 5000)):
            receiver = Receiver([("/out", self.folder / "out")])
            receiver.feed(data)
            receiver.feed(record(END))
            self.assertEqual(len(receiver.finish()), 1)

    # @verifies ATL-LLR-TOOL-0046~1 @robust
    def test_a_host_path_that_cannot_be_written_is_told(self):
        (self.folder / "out").write_bytes(b"a file")
        problems = self.feed(record(DIRECTORY), record(FILE, b"a", b"x"), record(END))
        self.assertEqual(len(problems), 2)
        self.assertEqual((self.folder / "out").read_bytes(), b"a file")


if __name__ == "__main__":
    unittest.main()
