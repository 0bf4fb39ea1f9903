# SPDX-License-Identifier: Apache-2.0
"""A packed image is a PVH domain of Xen 4.17: its output and its exit status are in the hypervisor's
log, where Xen puts what a domain writes to port 0xe9."""
import xen
from lib import ONE, TestFailure, system_test


POWERED_OFF = "0 0x0"  # reason code of xl; 1: a reset, 3: a crash


# @verifies ATL-LLR-BOOT-0048~1 ATL-LLR-BOOT-1247~1
@system_test(matrix=ONE, timeout_s=900, machine=("q35",), libc=("musl",), cores=(2,), ring=(3,))
def test_an_image_is_a_pvh_domain(guest):
    """Both rings in one host, whose start is the test's time."""
    domains = []
    for ring in (3, 0):
        for program, argument in (("machine.c", "cores"), ("streams.c", "7")):
            image = guest.pack(guest.build(program), argument, framed=False, ring=ring)
            domains.append((f"{program[0]}{ring}", image, 64, 2))
    said, ends, log = xen.run_domains(domains, guest.timeout_s)
    if said != [["2 4"], ["2 4"], *2 * [["0 bytes", "atoll: exit status 7"]]]:
        raise TestFailure(f"the domains said {said}", log)
    if ends != len(domains) * [POWERED_OFF]:
        raise TestFailure(f"the domains ended by {ends}", log)
