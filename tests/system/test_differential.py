# SPDX-License-Identifier: Apache-2.0
"""The same random system calls on the build machine and in an image give the same results, but for
tests/conformance/differential/differences.toml. Each configuration has a seed of its own, so that
--full makes more different calls. The log of a failure has the seed and the first line that differs."""
# @verifies ATL-HLR-RUNT-0002~1
import pathlib
import re
import subprocess
import tempfile
import tomllib
import zlib

import lib

FOLDER = lib.ROOT / "tests" / "conformance" / "differential"
CALLS = 2000
LINUX_SECONDS_MAX = 60
MEMORY_FOLDER = pathlib.Path("/dev/shm")  # as Atoll's tree: files that live in memory


def seed_of(guest):
    return zlib.crc32(repr(sorted(guest.configuration.items())).encode()) % 1000000


def ignored(linux, atoll):
    """Whether an entry of the list covers both lines."""
    for entry in tomllib.loads((FOLDER / "differences.toml").read_text())["ignored"]:
        if all(re.fullmatch(rf"\d+ t\d .*{entry['line']}.* = {entry[side]}", line)
               for side, line in (("linux", linux), ("atoll", atoll))):
            return True
    return False


def first_difference(linux, atoll):
    """Index of the first line that must not differ; None: all are equal."""
    for index, (wanted, actual) in enumerate(zip(linux, atoll)):
        if wanted != actual and not ignored(wanted, actual):
            return index
    return None if len(linux) == len(atoll) else min(len(linux), len(atoll))


def on_linux(program, arguments):
    folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(dir=folder) as work:
        done = subprocess.run([str(program), *arguments], cwd=work, capture_output=True,
                              timeout=LINUX_SECONDS_MAX)
    if done.returncode != 0:
        raise lib.TestFailure(f"{arguments} ends with {done.returncode} on Linux",
                              done.stdout.decode("utf-8", "backslashreplace")[-lib.TAIL_BYTES:])
    return done.stdout.decode("utf-8", "backslashreplace").splitlines()


@lib.system_test(matrix=lib.PAIRWISE, timeout_s=90, libc=("glibc",),
                 family=("all", "files", "memory", "signals", "sockets", "others"))
def test_differential(guest):
    program = guest.build("differential/differential.c")
    arguments = [str(seed_of(guest)), str(CALLS)]
    arguments += [guest.family] if guest.family != "all" else []
    linux = on_linux(program, arguments)
    result = guest.run(program, *arguments)
    atoll = result.stdout.decode("utf-8", "backslashreplace").splitlines()
    index = first_difference(linux, atoll)
    if index is not None:
        before = "\n".join(linux[max(0, index - 20):index])
        result.fail(f"differential {' '.join(arguments)}: line {index}\n{before}\n"
                    f"Linux {linux[index:index + 1]}\nAtoll {atoll[index:index + 1]}")
    result.expect(status=0)


@lib.host_test
def test_differences_are_seen(guest):
    """A line that is changed, missing or more is found; one of the list is not."""
    # @verifies ATL-HLR-RUNT-0002~1 @robust
    lines = ["0 t1 close(3) = -9", "1 t2 mmap(0, 4096, 0x3, 0x100020, -1) = -17", "2 t1 dup(1) = 3"]
    allowed = [lines[0], lines[1].replace("-17", "-22"), lines[2]]
    cases = [(lines, None), (allowed, None), (lines[:2], 2), (lines + ["more"], 3),
             ([lines[0].replace("-9", "0"), *lines[1:]], 0),
             ([lines[0], lines[1].replace("-17", "-12"), lines[2]], 1)]
    for changed, wanted in cases:
        if first_difference(lines, changed) != wanted:
            raise lib.TestFailure(f"{changed}: {first_difference(lines, changed)}, not {wanted}")
