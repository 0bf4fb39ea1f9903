# SPDX-License-Identifier: Apache-2.0
"""The QEMU of Debian's backports, which emulates what the release's does not: x2APIC and RDSEED."""
from atoll.debian import binary_tree
from lib import PAIRWISE, system_test

SUITE = "bookworm-backports"
# Its programs, firmware of PC kind, and the small boot ROMs; none is installed.
DATA = {"qemu-system-data": "usr/share/qemu", "seabios": "usr/share/seabios"}


def boot(guest, program, *words, qemu=()):
    emulator = binary_tree("qemu-system-x86", SUITE).path / "usr/bin/qemu-system-x86_64"
    folders = [word for package, folder in DATA.items()
               for word in ("-L", str(binary_tree(package, SUITE).path / folder))]
    return guest.boot(guest.pack(guest.build(program), *words), emulator=str(emulator),
                      qemu=(*folders, *qemu))


# @verifies ATL-LLR-BOOT-0038~1
@system_test(matrix=PAIRWISE, cores=(1, 2, 4), timeout_s=60)
def test_x2apic(guest):
    result = boot(guest, "threads.c")
    result.expect(status=0).expect_that(b" x2APIC, " in result.outcome.log, "x2APIC is used")


# @verifies ATL-LLR-BOOT-0038~1
@system_test(matrix=PAIRWISE, cores=(2,), libc=("musl",))
def test_xapic_of_the_same_machine(guest):
    result = boot(guest, "machine.c", "cores", qemu=("-cpu", "max,x2apic=off"))
    result.expect(stdout=b"2 4\n").expect_that(b" xAPIC, " in result.outcome.log, "xAPIC is used")


# @verifies ATL-LLR-BOOT-0038~1
@system_test(matrix=PAIRWISE, cores=(64,), libc=("musl",), ring=(3,), timeout_s=120)
def test_x2apic_of_sixty_four_cores(guest):
    result = boot(guest, "machine.c", "cores", qemu=("-m", "1024"))
    result.expect(stdout=b"64 128\n")
