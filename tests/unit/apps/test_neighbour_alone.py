#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The channel's C file depends on nothing: C99 without a library compiles for processors of both
byte orders and word sizes, and no symbol is left open. Exit status 1: it does not."""
import pathlib
import subprocess
import sys
import tempfile

FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-fno-pic",
         "-c"]
COMPILERS = [["gcc"], ["gcc", "-m32"]] + [
    ["clang-19", f"--target={target}"]
    for target in ("armv7m-none-eabi", "riscv32-none-elf", "riscv64-none-elf", "aarch64-none-elf",
                   "aarch64_be-none-elf", "powerpc-none-eabi")]


# @verifies ATL-LLR-NEIGHBOUR-1006~1
def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / "neighbour.o"
        for compiler in COMPILERS:
            for level in ("-O0", "-O2", "-Os"):
                command = [*compiler, level, *FLAGS, sys.argv[1], "-o", str(target)]
                made = subprocess.run(command, capture_output=True, text=True)
                tool = "llvm-nm-19" if compiler[0] == "clang-19" else "nm"
                left = subprocess.run([tool, "-u", str(target)], capture_output=True,
                                      text=True).stdout if made.returncode == 0 else ""
                if made.returncode != 0 or left.strip():
                    print(f"{' '.join(command)}:\n{made.stderr}{left}")
                    failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
