# SPDX-License-Identifier: Apache-2.0
"""The machine as the kernel finds it: cores, memory, clocks, console, power."""
import random
import re
import tempfile
import time

from lib import ONE, PAIRWISE, system_test

BIG_MIB = 6144
RATE_TOLERANCE = 0.001
DATE_TOLERANCE_S = 2


def run(guest, what, **options):
    return guest.run(guest.build("machine.c"), what, **options)


# @verifies ATL-LLR-BOOT-0015~1
# @verifies ATL-LLR-BOOT-0016~1
# @verifies ATL-LLR-BOOT-0022~1
@system_test(matrix=PAIRWISE, cores=(1, 2, 4))
def test_all_cores_run_threads(guest):
    run(guest, "cores").expect(stdout=f"{guest.cores} {2 * guest.cores}\n".encode())


# @verifies ATL-LLR-BOOT-0015~1
@system_test(matrix=PAIRWISE, cores=(64,), timeout_s=120)
def test_sixty_four_cores(guest):
    run(guest, "cores", memory=1024).expect(stdout=b"64 128\n")


# @verifies ATL-LLR-BOOT-0022~1
# @verifies ATL-LLR-BOOT-0009~1
@system_test(matrix=ONE, cores=(3,), machine=("microvm",))
def test_cores_without_acpi(guest):
    run(guest, "cores", qemu=("-machine", "acpi=off")).expect(stdout=b"3 6\n")


# @verifies ATL-LLR-BOOT-0016~1
@system_test(matrix=ONE, cores=(6,), machine=("q35",))
def test_cores_with_holes_between_their_apic_ids(guest):
    result = run(guest, "cores", qemu=("-smp", "6,sockets=2,cores=3,threads=1"), memory=256)
    result.expect(stdout=b"6 12\n")


# @verifies ATL-LLR-BOOT-0031~1
@system_test(matrix=ONE, cores=(4,))
def test_more_cores_wanted_than_there_are(guest):
    result = run(guest, "cores", qemu=("-smp", "2"))
    result.expect(status=125).expect_that(b"wants 4 cores, the machine has 2" in result.kernel_errors,
                                          "the kernel says how many")


# @verifies ATL-LLR-BOOT-0021~1
@system_test(matrix=ONE, cores=(1,), libc=("musl",), machine=("microvm", "q35"), ring=(3,))
def test_memory_above_four_gibibytes(guest):
    run(guest, "cores", memory=BIG_MIB).expect(stdout=b"1 2\n")


# @verifies ATL-LLR-BOOT-0021~1
@system_test(matrix=ONE, cores=(2,), libc=("musl",), machine=("q35",), ring=(3,))
def test_memory_above_four_gibibytes_without_gibibyte_pages(guest):
    run(guest, "cores", memory=BIG_MIB, qemu=("-cpu", "max,pdpe1gb=off")).expect(stdout=b"2 4\n")


# @verifies ATL-LLR-BOOT-0021~1
@system_test(matrix=PAIRWISE, cores=(1,), libc=("musl",), machine=("microvm", "q35"))
def test_few_mebibytes_are_enough_to_start(guest):
    """A hello. A PC's firmware keeps tables at the end of memory."""
    guest.run(guest.build("hello.c", "-s"), memory=2 if guest.machine == "microvm" else 3).expect(stdout=b"Hello, world!\n")


# @verifies ATL-LLR-BOOT-0601~1 @robust
@system_test(matrix=PAIRWISE, cores=(1, 2), libc=("musl",))
def test_memory_may_hold_anything_at_start(guest):
    """From 1 MiB on: what is below is the firmware's, and that of microvm counts on zeros there."""
    with tempfile.NamedTemporaryFile(prefix="atoll-test-") as memory:
        memory.write(bytes(1 << 20))
        for _ in range(63):
            memory.write(b"\xa5" * (1 << 20))
        memory.flush()
        run(guest, "cores", memory=64, qemu=(
            "-object", f"memory-backend-file,id=ram,size=64M,share=on,mem-path={memory.name}",
            "-machine", "memory-backend=ram")).expect(stdout=f"{guest.cores} {2 * guest.cores}\n".encode())


# @verifies ATL-LLR-BOOT-0012~2
# @verifies ATL-LLR-BOOT-0033~1
@system_test(matrix=ONE)
def test_processor_without_a_required_feature(guest):
    result = run(guest, "cores", qemu=("-cpu", "max,fsgsbase=off"))
    result.expect(status=125).expect_that(b"no FSGSBASE" in result.kernel_errors, "it is named")


# @verifies ATL-LLR-BOOT-0014~1
@system_test(matrix=ONE, ring=(3,))
def test_descriptor_tables_are_hidden_from_programs(guest):
    run(guest, "sgdt").expect(status=139)


# @verifies ATL-LLR-BOOT-0019~1
@system_test(matrix=PAIRWISE, libc=("musl",))
def test_clock_rate_is_the_hosts(guest):
    program = guest.build("machine.c")
    wanted = float(guest.on_linux(program, "rate")[0])
    result = guest.run(program, "rate", verbose=True)
    found = re.search(rb"TSC (\d+) kHz", result.outcome.log)
    result.expect_that(found, "the kernel tells the rate")
    rate = int(found.group(1)) * 1000
    result.expect_that(abs(rate / wanted - 1) < RATE_TOLERANCE, f"{rate} Hz is near {wanted:.0f} Hz")


# @verifies ATL-LLR-BOOT-0019~1
@system_test(matrix=PAIRWISE, libc=("musl",))
def test_date(guest):
    before = time.time()
    result = run(guest, "date").expect()
    date = int(result.stdout)
    result.expect_that(before - DATE_TOLERANCE_S <= date <= time.time() + DATE_TOLERANCE_S,
                       f"{date} is the host's date")


# @verifies ATL-LLR-BOOT-0020~1
@system_test(matrix=PAIRWISE)
def test_no_sleep_ends_early(guest):
    run(guest, "early").expect(stdout=b"0\n")


# @verifies ATL-LLR-BOOT-0027~1
@system_test(matrix=PAIRWISE)
def test_much_output_is_whole(guest):
    letters = [b"%06d ." % i + bytes([ord("a") + i % 26]) * 91 + b"\n" for i in range(5000)]
    run(guest, "much").expect(stdout=b"".join(letters))


# @verifies ATL-LLR-BOOT-0028~1
@system_test(matrix=PAIRWISE)
def test_input_waits_for_a_late_reader(guest):
    data = random.Random(5).randbytes(60000)
    run(guest, "late", stdin=data).expect(stdout=data)


# @verifies ATL-LLR-BOOT-0026~1
# @verifies ATL-LLR-BOOT-0029~1
@system_test(matrix=PAIRWISE, what=(("cores", 0, 0), ("nothing", 1, 0), ("abort", 0, 6)))
def test_end_is_recorded_and_the_machine_is_off(guest):
    word, status, signal = guest.what
    result = run(guest, word)
    record = result.outcome.record
    result.expect_that(record is not None and (record.status, record.signal) == (status, signal),
                       f"the record says status {status}, signal {signal}")
    result.expect_that(result.outcome.qemu_status == 0, "QEMU ended by itself")
