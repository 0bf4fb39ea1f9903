# SPDX-License-Identifier: Apache-2.0
"""The packer and the kernel's validator agree: what tools/atoll/image.py writes is valid, and what it
must not write is refused. Called by ctest with the path of the judge."""
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools"))
sys.dont_write_bytecode = True
from atoll import image, tree  # noqa: E402

JUDGE = ""
PAGE = 4096


def posix_of(text_bytes=5000, relocations=(3 * PAGE, 4 * PAGE + 8)):
    """What read_posix gives for a small library OS."""
    sizes = [(0, text_bytes, 2 * PAGE), (2 * PAGE, PAGE, PAGE), (3 * PAGE, 64, PAGE),
             (4 * PAGE, 128, 2 * PAGE), (6 * PAGE, 0, PAGE)]
    sections = [types.SimpleNamespace(address=a, content=bytearray(c), memory_bytes=m)
                for a, c, m in sizes]
    return types.SimpleNamespace(sections=sections, relocations=list(relocations))


def verdict(posix=None, files=(), **manifest):
    files_of_image = tree.Tree()
    files_of_image.add("/bin/program", tree.Entry(0o100755, b"program" * 1000))
    for path, entry in files:
        files_of_image.add(path, entry)
    settings = {"program_path": "/bin/program", "arguments": ["program", "-x"],
                "environment": ["A=B"], **manifest}
    payload = image.build_payload(posix or posix_of(), files_of_image, image.Manifest(**settings))
    with tempfile.NamedTemporaryFile() as file:
        file.write(payload)
        file.flush()
        return subprocess.run([JUDGE, file.name], capture_output=True, text=True,
                              check=False).stdout.strip()


# @verifies ATL-LLR-IMAGE-0001~1
class PackerTest(unittest.TestCase):
    def test_packed_image_is_valid(self):
        self.assertEqual(verdict(), "valid")

    def test_all_kinds_of_files_are_valid(self):
        files = [("/empty", tree.Entry(0o100644)), ("/d/e/f", tree.Entry(0o100600, b"x" * 10000)),
                 ("/link", tree.Entry(0o120777, b"bin/program")), ("/a.", tree.Entry(0o100644, b"1")),
                 ("/..a", tree.Entry(0o100644, b"1")), ("/\udcff", tree.Entry(0o100644, b"1"))]
        self.assertEqual(verdict(files=files), "valid")

    def test_no_arguments_no_environment_and_no_relocations_are_valid(self):
        self.assertEqual(verdict(posix_of(relocations=()), arguments=[], environment=[]), "valid")

    def test_every_flag_and_ring_is_valid(self):
        self.assertEqual(verdict(ring=0, flags=15, seed=2**64 - 1, cores=64), "valid")
        self.assertEqual(verdict(port_bytes=16 * PAGE), "valid")
        self.assertEqual(verdict(port_bytes=1 << 30), "valid")

    def test_values_that_the_packer_passes_on_are_judged(self):
        self.assertEqual(verdict(ring=2), "ring is not 0 or 3")
        self.assertEqual(verdict(quantum_us=1), "quantum is outside of 100..1000000 us")
        self.assertEqual(verdict(posix_of(relocations=(8,))), "relocation is outside of relro and data")


if __name__ == "__main__":
    JUDGE = sys.argv.pop(1)
    unittest.main()
