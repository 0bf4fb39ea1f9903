# SPDX-License-Identifier: Apache-2.0
"""Debian packages for tests come from where the machine itself takes them, or not at all."""
import os
import pathlib
import tempfile
import unittest
from unittest import mock

import support  # noqa: F401  (finds the tool)
from atoll import debian
from atoll.build import lwip_arguments
from atoll.errors import ToolError

DEB822 = """# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example
Suites: bookworm-security
Components: main
"""
OTHERS = "deb [arch=amd64 signed-by=/k.gpg] http://cloud.example/apt cloud-sdk-bookworm main\n"


class LwipTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0900~1
    def test_source_of_lwip(self):
        """A folder that is given wins; nothing is fetched for who does not need it."""
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(debian, "build_directory", lambda: pathlib.Path(folder)), \
                mock.patch.object(debian, "source_tree", side_effect=ToolError("fetched", "")):
            with mock.patch.dict(os.environ, ATOLL_LWIP_SOURCE="/somewhere"):
                self.assertEqual(lwip_arguments(True), ["-DATOLL_LWIP_SOURCE=/somewhere"])
            with mock.patch.dict(os.environ):
                os.environ.pop("ATOLL_LWIP_SOURCE", None)
                self.assertEqual(lwip_arguments(False), [])
                self.assertRaises(ToolError, lwip_arguments, True)
                there = pathlib.Path(folder, "debian", "trixie-deb-src", "lwip")
                there.mkdir(parents=True)
                (there / "version").write_text("2.2")
                self.assertRaises(ToolError, lwip_arguments, False)  # it is used, as it is there


class DebianTest(unittest.TestCase):
    # @verifies ATL-LLR-REAL-0001~1
    def test_origin_of_either_form(self):
        wanted = {"uris": "http://mirror.example/debian",
                  "signed-by": "/usr/share/keyrings/debian-archive-keyring.gpg"}
        self.assertEqual(debian.debian_origin({"a.list": OTHERS, "d.sources": DEB822}, "bookworm"), wanted)
        line = "deb [arch=amd64 signed-by=/key.gpg] http://m.example/debian bookworm main\n"
        self.assertEqual(debian.debian_origin({"sources.list": f"# x\n{OTHERS}{line}"}, "bookworm"),
                         {"uris": "http://m.example/debian", "signed-by": "/key.gpg"})
        plain = {"sources.list": "deb http://m.example/debian bookworm main contrib\n"}
        self.assertEqual(debian.debian_origin(plain, "bookworm"),
                         {"uris": "http://m.example/debian", "signed-by": None})

    # @verifies ATL-LLR-REAL-0001~1 @robust
    def test_no_origin(self):
        for texts in ({}, {"a.list": OTHERS}, {"d.sources": "Types: deb\n"},
                      {"sources.list": "# deb http://m.example/debian bookworm main\n"}):
            with self.assertRaises(ToolError):
                debian.debian_origin(texts, "bookworm")

    # @verifies ATL-LLR-REAL-0001~1 @robust
    def test_unreachable_or_unsigned_mirror_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            repository = pathlib.Path(folder, "mirror/dists/bookworm")
            repository.mkdir(parents=True)
            for content in (None, "Origin: nobody\nSuite: bookworm\nCodename: bookworm\n"):
                if content:
                    (repository / "Release").write_text(content)
                texts = {"sources.list": f"deb file:{folder}/mirror bookworm main\n"}
                with mock.patch.dict(os.environ, ATOLL_BUILD_DIR=f"{folder}/build"), \
                        mock.patch.object(debian, "_configuration", lambda texts=texts: texts), \
                        mock.patch.object(debian, "_codename", lambda: "bookworm"):
                    for fetch in (debian.source_tree, debian.binary_tree):
                        with self.assertRaises(ToolError) as caught:
                            fetch("hello")
                        self.assertIn("mirror", str(caught.exception))
                self.assertEqual(list(pathlib.Path(folder, "build").rglob("hello*")), [])


if __name__ == "__main__":
    unittest.main()
