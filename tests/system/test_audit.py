# SPDX-License-Identifier: Apache-2.0
"""The audit of the page tables: it holds at boot, and boot stops for every rule that is broken. The
build with hooks breaks the rule whose index is on the command line (tests/system/hooks/audit_mutate.c)."""
import pathlib
import tomllib

from lib import FULL, ONE, ROOT, system_test
from atoll.testing.results import TestFailure

CLASSES = [entry["name"] for entry in tomllib.loads(
    pathlib.Path(ROOT / "isolation/mapping_classes.toml").read_text())["class"]]
# Behind the classes, in the order of audit_mutate.c.
OTHERS = ["kernel_frame_in_user_half", "kernel_frame_in_user_half", "frame_mapped_twice",
          "frame_mapped_twice", "frame_writable_and_executable", "mapped_in_no_class", "lazy_in_no_slot", "table_entry",
          "idle_root", "percore", "gate_page", "table_count", "table_entry"]
RULES = CLASSES + OTHERS
NEIGHBOUR = ("-object", "memory-backend-ram,id=m,share=on,size=64K", "-device", "ivshmem-plain,memdev=m")
OF_CORE_0 = {"null_pages", "image"}  # core 0's tables: its slot, and the image's shared alias


# @verifies ATL-LLR-ISOL-0034~1 ATL-LLR-BOOT-0030~1
# @verifies ATL-LLR-ISOL-0023~1 ATL-LLR-ISOL-0800~1
# @verifies ATL-LLR-ISOL-0024~1
@system_test(matrix=FULL, libc=("musl",))
def test_audit_holds(guest):
    result = guest.run(guest.build("hello.c"), verbose=True)
    result.expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(f"audit: {guest.cores} cores" in result.log and "holds" in result.log,
                       "the kernel reports that the audit holds")


def _expect_refused(guest, image, index, core):
    result = guest.boot(image, qemu=(*NEIGHBOUR, "-append",
                                     f"audit_mutate={index} audit_mutate_core={core}"))
    wanted = f"audit: core {core} breaks rule {RULES[index]} "
    if wanted not in result.log or result.stdout:
        result.fail(f"rule {index} on core {core}: expected {wanted!r} and no output")


# @verifies ATL-LLR-ISOL-0030~1
# @verifies ATL-LLR-ISOL-0031~1
# @verifies ATL-LLR-ISOL-0032~1
# @verifies ATL-LLR-ISOL-0033~1
# @verifies ATL-LLR-ISOL-0034~1
@system_test(matrix=ONE, timeout_s=60, libc=("musl",), cores=(2,), ring=(3,),
             machine=("q35",))
def test_every_broken_rule_stops_boot(guest):
    image = guest.pack(guest.build("hello.c"), variant="hooks", verbose=True, net="user", neighbour="any")
    for core in (0, 1):
        for index, rule in enumerate(RULES):
            if core == 0 or rule not in OF_CORE_0:
                _expect_refused(guest, image, index, core)


# @verifies ATL-LLR-ISOL-0020~1
@system_test(matrix=ONE, libc=("musl",), ring=(3,), machine=("q35",))
def test_library_os_lies_elsewhere_in_each_boot(guest):
    image = guest.pack(guest.build("hello.c"), variant="hooks", verbose=True)
    places = set()
    for _ in range(3):  # the broken page's address is where the text lies
        result = guest.boot(image, qemu=("-append", f"audit_mutate={CLASSES.index('posix_text')}"))
        lines = [line for line in result.log.splitlines() if "breaks rule posix_text" in line]
        if not lines:
            raise TestFailure("no report", result.log)
        places.add(lines[0].split(" at ")[1].split()[0])
    result.expect_that(len(places) == 3, f"three boots, three places: {sorted(places)}")
