# SPDX-License-Identifier: Apache-2.0
"""What is seen when the kernel or the program cannot go on. A kernel breaks where the test has put an
instruction that is not defined over the beginning of one of its functions."""
import re

from broken import broken_image
from lib import PAIRWISE, system_test

from atoll.elf import Elf

STATUS_PANIC, STATUS_KILLED = 255, 137
FAULT = 4  # debug/trace.toml


# @verifies ATL-LLR-BOOT-0035~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2),
             function=("handover_parse_pvh", "acpi_parse_madt", "memory_regions_build"))
def test_exception_while_booting_is_reported(guest):
    image, address = broken_image(guest, guest.function, guest.build("hello.c"))
    result = guest.boot(image).expect(status=STATUS_PANIC, stdout=b"")
    line = f"panic: core 0: exception 6 (error 0x0) in the kernel, rip {address:#x}".encode()
    result.expect_that(line in result.kernel_errors, "vector, error code and instruction are named")


# @verifies ATL-LLR-BOOT-0034~1 ATL-LLR-BOOT-0035~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4))
def test_panic_of_another_core_waits_for_whole_frames(guest):
    image, address = broken_image(guest, "gate_move_to", guest.build("machine.c"), "move")
    result = guest.boot(image)
    result.expect(status=STATUS_PANIC)
    report = re.fullmatch(rb"atoll: panic: core 1: exception 6 \(error 0x0\) in the kernel, "
                          rb"rip 0x([0-9a-f]+)\n(  \S.*\n)+", result.kernel_errors)
    result.expect_that(report and int(report[1], 16) == address, "the report is whole")
    line = b"0123456789" * 20 + b"\n"
    lines = len(result.stdout) // len(line) + 1
    result.expect_that(len(result.stdout) > 100 * len(line), "core 0 was writing")
    result.expect_that((line * lines).startswith(result.stdout), "the program's output is whole")
    result.expect_that(not re.search(rb"[^\r\n]", result.outcome.noise), "no byte is outside frames")


# @verifies ATL-LLR-BOOT-0600~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_panic_shows_what_its_core_did_last(guest):
    program = guest.build("crash_null.c")
    image, _ = broken_image(guest, "gate_upcall_fault", program)
    result = guest.boot(image).expect(status=STATUS_PANIC)
    event = rb"  at (\d+) ns event (\d+) \((\d+), 0x([0-9a-f]+), 0x([0-9a-f]+)\)\n"
    lines = re.search(rb"panic: core 0: .*\n(?:  r.*\n)+((?:" + event + rb")+)\Z", result.kernel_errors)
    result.expect_that(lines, "records follow the registers, and nothing follows them")
    records = re.findall(event, lines[1])
    times = [int(time) for time, *_ in records]
    result.expect_that(times == sorted(times) and 1 < len(times) <= 8, "few, in their order")
    _, number, vector, address, rip = records[-1]
    main = Elf(program.read_bytes(), "program").symbols()["main"]
    result.expect_that((int(number), int(vector), int(address, 16)) == (FAULT, 14, 0)
                       and 0 < int(rip, 16) - main < 256, "the last one is the access that main made")


# @verifies ATL-LLR-BOOT-0034~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4))
def test_panic_does_not_wait_for_a_core_that_hangs(guest):
    image, address = broken_image(guest, "gate_move_to", guest.build("machine.c"), "move at once",
                                  hangs_in="console_write")
    result = guest.boot(image).expect(status=STATUS_PANIC, stdout=b"")
    line = f"panic: core 1: exception 6 (error 0x0) in the kernel, rip {address:#x}".encode()
    result.expect_that(line in result.kernel_errors, "core 1 reports, though core 0 does not answer")


# @verifies ATL-LLR-BOOT-0036~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_want_of_memory_is_explained(guest):
    result = guest.run(guest.build("machine.c"), "exhaust", memory=48)
    result.expect(status=STATUS_KILLED, stdout=b"")
    line = (rb"out of memory: core (\d+) has \d+ of (\d+) frames left, .*"
            rb"for address 0x[0-9a-f]+ \(rip 0x[0-9a-f]+\)\n")
    found = re.search(line, result.stderr)
    result.expect_that(found and 500 < int(found[2]) < 12288, "core, frames and access are named")
