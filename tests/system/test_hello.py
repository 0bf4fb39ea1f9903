# SPDX-License-Identifier: Apache-2.0
"""What a user sees of a program: output, status, arguments, environment, input, files."""
import queue
import random
import re
import subprocess
import tempfile

from lib import FULL, ONE, PAIRWISE, host_test, system_test

SIZE_MAX = {(): 245000, ("--net", "none"): 252 * 1024}  # the second: with rare calls, which it cannot make


# @verifies ATL-LLR-TOOL-0040~1 ATL-LLR-GATE-0002~1
@system_test(matrix=FULL)
def test_output(guest):
    guest.run(guest.build("hello.c")).expect(stdout=b"Hello, world!\n", stderr=b"", status=0)


# @verifies ATL-LLR-TOOL-0040~1
@system_test(matrix=PAIRWISE, wanted=(0, 1, 2, 42, 127, 128, 139, 254, 255))
def test_status(guest):
    program = guest.build("streams.c")
    guest.run(program, str(guest.wanted)).expect(stdout=b"", stderr=b"0 bytes\n", status=guest.wanted)


# @verifies ATL-LLR-TOOL-0040~1
@system_test(matrix=FULL)
def test_arguments_and_environment(guest):
    result = guest.run(guest.build("surroundings.c"), "a b", "", "ümlaut",
                       environment={"COLOUR": "blue = green", "HOME": "/tmp"})
    expected = ("argument 0 [/bin/surroundings]\nargument 1 [a b]\nargument 2 []\nargument 3 [ümlaut]\n"
                "variable [HOME=/tmp]\nvariable [PATH=/bin]\nvariable [COLOUR=blue = green]\n"
                "directory [/]\nhost [atoll]\n")
    result.expect(stdout=expected.encode(), status=0)


# @verifies ATL-LLR-TOOL-0011~1 ATL-LLR-GATE-0027~3
@system_test(matrix=FULL)
def test_input(guest):
    data = random.Random(1).randbytes(20000)
    guest.run(guest.build("streams.c"), stdin=data).expect(stdout=data, stderr=b"20000 bytes\n")


# @verifies ATL-LLR-GATE-0027~3 ATL-LLR-FILE-0006~1
@system_test(matrix=PAIRWISE, libc=("musl",))
def test_many_readers_wait(guest):
    """More than wait in any table: none of them spins, and each gets its byte."""
    keys = queue.Queue()
    result = guest.run(guest.build("readers.c"), stdin=keys.get, on_output=lambda data: keys.put(bytes(range(20))))
    result.expect(stderr=b"", status=0)
    found = re.fullmatch(rb"waiting (\d+)\nsum 190\n", result.stdout)
    result.expect_that(found and int(found[1]) < 50, "they wait without work, and then read all bytes")


# @verifies ATL-LLR-TOOL-0011~1
@system_test(matrix=PAIRWISE)
def test_unread_input_does_not_hinder_the_end(guest):
    guest.run(guest.build("hello.c"), stdin=bytes(100000)).expect(stdout=b"Hello, world!\n")


# @verifies ATL-LLR-TOOL-0040~1
@system_test(matrix=PAIRWISE, size=(0, 1, 4095, 4096, 4097, 100000))
def test_file(guest):
    data = random.Random(guest.size).randbytes(guest.size)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        result = guest.run(guest.build("streams.c"), "file", "/data/file", "7",
                           files=[(file.name, "/data/file")])
    result.expect(stdout=data, stderr=f"{guest.size} bytes\n".encode(), status=7)


# @verifies ATL-LLR-TOOL-0040~1 ATL-LLR-SIGNAL-0030~1
@system_test(matrix=FULL)
def test_crash_status(guest):
    binary = guest.build("crash_null.c")
    result = guest.run(binary)
    result.expect(stdout=b"before the fault\n", status=139)
    report = result.stderr.decode()
    main = re.search(r"^([0-9a-f]+) T main$", subprocess.check_output(["nm", binary], text=True), re.M)
    rip = re.search(r"^rip ([0-9a-f]{16}) flags [0-9a-f]{8}$", report, re.M)
    for line in (r"posix: SIGSEGV \(11\) code 1 in thread 1 \"crash_null[^\"]*\" on core 0",
                 r"address 0x0, vector 14, error 0x6",
                 r"rax [0-9a-f]{16} rbx [0-9a-f]{16} rcx [0-9a-f]{16} rdx [0-9a-f]{16}",
                 r"code addresses on the stack: 0x[0-9a-f]+.*"):
        result.expect_that(re.search(f"^{line}$", report, re.M), f"the report has {line}")
    result.expect_that(rip and 0 < int(rip[1], 16) - int(main[1], 16) < 256, "rip is inside main")
    result.expect_that(len(report.splitlines()) <= 24, "the report fits a screen")


# @verifies ATL-LLR-TOOL-0040~1
@system_test(matrix=FULL)
def test_abort_status(guest):
    result = guest.run(guest.build("crash_abort.c"))
    result.expect(status=134)


# @verifies ATL-LLR-TOOL-0013~1
@system_test(matrix=ONE)
def test_verbose_log_stays_off_stdout(guest):
    result = guest.run(guest.build("hello.c"), verbose=True)
    result.expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(len(result.outcome.log) > 0, "the kernel logs something")


# @verifies ATL-LLR-TOOL-0005~1
@host_test
def test_hello_image_is_small(guest):
    for options, limit in SIZE_MAX.items():
        with tempfile.NamedTemporaryFile() as image:
            done = guest.tool("pack", *options, guest.build("hello.c", "-s"), "-o", image.name)
            with open(image.name, "rb") as packed:
                size = len(packed.read())
        if done.returncode != 0 or not 0 < size <= limit:
            raise AssertionError(f"{options} status {done.returncode}, {size} bytes\n{done.stderr.decode()}")
        print(f"hello image: {size} bytes", *options, flush=True)
