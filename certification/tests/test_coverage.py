# SPDX-License-Identifier: Apache-2.0
"""The coverage chain from clang to llvm-cov, with a tiny kernel in QEMU whose coverage is known."""
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "coverage"
KERNEL = pathlib.Path(__file__).resolve().parent / "fixtures" / "coverage_kernel"
TOOLS = ("clang-19", "llvm-profdata-19", "llvm-cov-19", "llvm-objcopy-19", "qemu-system-x86_64", "ld")
FLAGS = ["-std=gnu2x", "-ffreestanding", "-O1", "-g", "-mno-red-zone", "-mgeneral-regs-only",
         "-fno-pic", "-fno-stack-protector", "-Wall", "-Wextra", "-Werror", f"-I{FOLDER}"]
MEASURED = ["-fprofile-instr-generate", "-fcoverage-mapping", "-fcoverage-mcdc"]


def load_run():
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location("coverage_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# @verifies ATL-LLR-EVID-0020~1 ATL-LLR-EVID-0021~1
@unittest.skipUnless(all(shutil.which(t) for t in TOOLS), "clang-19, llvm-19, QEMU needed")
class CoverageTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def build(self, measured):
        out = self.folder
        subprocess.run(["clang-19", *FLAGS, "-c", FOLDER / "dump.c", "-o", out / "dump.o"], check=True)
        subprocess.run(["clang-19", *FLAGS, *measured, "-c", KERNEL / "main.c", "-o", out / "main.o"],
                       check=True)
        subprocess.run(["clang-19", "-c", KERNEL / "boot.S", "-o", out / "boot.o"], check=True)
        subprocess.run(["ld", "-z", "noexecstack", "-L", FOLDER, "-T", KERNEL / "kernel.ld", "-o",
                        out / "kernel.elf", out / "boot.o", out / "main.o", out / "dump.o"], check=True)
        return out / "kernel.elf"

    def boot(self, kernel):
        dump = self.folder / "dump"
        subprocess.run(["qemu-system-x86_64", "-M", "microvm", "-nodefaults", "-display", "none", "-m",
                        "64", "-cpu", "max", "-no-reboot", "-kernel", kernel, "-debugcon",
                        f"file:{dump}", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
                       check=False, timeout=60)
        return load_run().extract(dump)

    def test_known_kernel_gives_the_known_numbers(self):
        kernel = self.build(MEASURED)
        frames = self.boot(kernel)
        self.assertEqual(len(frames), 1)
        raw, merged = self.folder / "raw", self.folder / "merged"
        raw.write_bytes(load_run().Records(kernel).profile(*frames[0]))
        subprocess.run(["llvm-profdata-19", "merge", raw, "-o", merged], check=True)
        done = subprocess.run(["llvm-cov-19", "export", "--summary-only", kernel,
                               f"-instr-profile={merged}"], check=True, capture_output=True, text=True)
        totals = json.loads(done.stdout)["data"][0]["totals"]
        self.assertEqual((totals["mcdc"]["covered"], totals["mcdc"]["count"]), (2, 3))
        self.assertEqual((totals["functions"]["covered"], totals["functions"]["count"]), (3, 4))

    def test_the_kernel_of_an_image_is_measured(self):
        done = subprocess.run([sys.executable, FOLDER / "run.py", "--program", "hello", "--build",
                               self.folder], check=False, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("no profile", done.stdout)
        totals = json.loads((self.folder / "summary.json").read_text())["data"][0]["totals"]
        self.assertGreater(totals["lines"]["covered"], 1000)
        self.assertGreater(totals["mcdc"]["count"], 300)

    def test_fragments_are_empty_without_instrumentation(self):
        kernel = self.build([])
        sections = subprocess.run(["readelf", "-SW", kernel], check=True, capture_output=True, text=True)
        self.assertNotIn("__llvm", sections.stdout)

    def test_incomplete_frames_are_left_out(self):
        dump = self.folder / "dump"
        dump.write_bytes(b"console text\n@coverage 00000004 00000002\nabcdxy\n@end\n"
                         b"\n@coverage 00000008 00000000\nab")
        self.assertEqual(load_run().extract(dump), [(b"abcd", b"xy")])


if __name__ == "__main__":
    unittest.main()
