# SPDX-License-Identifier: Apache-2.0
"""`./atoll pack` as a command: the same inputs give the same bytes wherever, whenever and by whomever."""
import os
import pathlib
import shutil
import tempfile
import unittest

import support
from atoll.errors import ToolError
from atoll.tree import LINK, PROGRAM, REGULAR, Tree

ATOLL = support.ROOT / "atoll"
NAMES = ["b", "a", "B", "ä", "-", "a.b", "sub/z", "sub/y"]
MANIFEST = """cores = 2
quantum_us = 500
working_directory = "/data"
root = "tree"
arguments = ["x"]
[environment]
Z = "1"
A = "2"
[files]
"/data/b" = "tree/b"
"/data/a" = "tree/a"
"""


def fill(folder, names, umask, modified_s):
    """The same inputs, made in another order, under another umask, at another time."""
    previous = os.umask(umask)
    try:
        shutil.copyfile(support.hello(), folder / "prog")
        os.chmod(folder / "prog", 0o777 & ~umask)
        for name in names:
            path = folder / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        os.chmod(folder / "tree/a", 0o777 & ~umask)
        (folder / "tree/link").symlink_to("sub/z")
        (folder / "atoll.toml").write_text(MANIFEST)
        for path in sorted(folder.rglob("*")):
            os.utime(path, (modified_s, modified_s), follow_symlinks=False)
    finally:
        os.umask(previous)


def pack(folder, environment, *words):
    kernel = support.kernel_elf("pack", [(4, b"\0\0\0\0")])
    done = support.run(ATOLL, "pack", "--kernel", kernel, "--posix", support.posix_elf(), "-o",
                       "x.img", *words, "./prog", "y", cwd=folder, env={**os.environ, **environment})
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return (folder / "x.img").read_bytes()


class ReproducibleTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="atoll-pack-")
        self.addCleanup(folder.cleanup)
        self.one, self.two = (pathlib.Path(folder.name, name) for name in ("one", "other-place"))
        self.one.mkdir()
        self.two.mkdir(mode=0o700)
        fill(self.one, NAMES, 0o022, 1000000000)
        fill(self.two, NAMES[::-1], 0o077, 1700000000)

    # @verifies ATL-LLR-TOOL-0061~1
    def test_place_time_umask_and_environment_do_not_show(self):
        first = pack(self.one, {"HOME": "/nowhere", "TZ": "UTC", "LC_ALL": "C.UTF-8",
                                "PYTHONHASHSEED": "1"})
        previous = os.umask(0o077)
        try:
            second = pack(self.two, {"HOME": str(self.two), "TZ": "Asia/Tokyo", "LC_ALL": "C",
                                     "PYTHONHASHSEED": "2", "USER": "somebody"})
        finally:
            os.umask(previous)
        self.assertEqual(first, second)
        self.assertNotEqual(first, pack(self.one, {}, "--quantum-us", "501"))

    # @verifies ATL-LLR-TOOL-0061~1
    def test_source_date_epoch_is_the_time_of_all_files(self):
        dated = [pack(folder, {"SOURCE_DATE_EPOCH": "123456"}) for folder in (self.one, self.two)]
        self.assertEqual(*dated)
        self.assertNotEqual(dated[0], pack(self.one, {}))
        with self.assertRaisesRegex(AssertionError, "SOURCE_DATE_EPOCH"):
            pack(self.one, {"SOURCE_DATE_EPOCH": "today"})

    # @verifies ATL-LLR-TOOL-0061~1
    def test_modes_are_those_that_everybody_has(self):
        for folder in (self.one, self.two):
            tree = Tree()
            tree.add_root(folder / "tree")
            self.assertEqual((tree.entries["/a"].mode, tree.entries["/b"].mode), (PROGRAM, REGULAR))
            self.assertEqual((tree.entries["/link"].mode, tree.entries["/link"].content),
                             (LINK, b"sub/z"))
            self.assertEqual({e.modified_s for e in tree.entries.values()}, {0})


class CommandTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0060~1 @robust
    def test_a_mistake_in_the_manifest_ends_pack_with_its_line(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "atoll.toml").write_text("ring = 3\nquantum = 5\n")
            shutil.copyfile(support.hello(), pathlib.Path(folder, "prog"))
            done = support.run(ATOLL, "pack", "-o", "x.img", "./prog", cwd=folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"atoll: atoll.toml:2: there is no setting 'quantum'\n  did you mean quantum_us?",
                          done.stderr)
            self.assertFalse(pathlib.Path(folder, "x.img").exists())

    def test_options_are_checked(self):
        for words in (["--quantum-us", "99"], ["--working-directory", "data"], ["--host-name", ""],
                      ["--placement", "any"]):
            done = support.run(ATOLL, "pack", *words, "-o", "x.img", "./prog", cwd=support.FOLDER)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(words[0].encode(), done.stderr)

    def test_a_folder_that_cannot_be_read_is_named(self):
        tree = Tree()
        with self.assertRaisesRegex(ToolError, "absent: No such file"):
            tree.add_host(support.FOLDER / "absent", "/x")


if __name__ == "__main__":
    unittest.main()
