# SPDX-License-Identifier: Apache-2.0
"""A packed image is a PVH domain of Xen 4.17: its output and its exit status are in the hypervisor's
log, where Xen puts what a domain writes to port 0xe9."""
import xen
from lib import ONE, TestFailure, system_test


# @verifies ATL-LLR-BOOT-0048~1
@system_test(matrix=ONE, timeout_s=900, machine=("q35",), libc=("musl",), cores=(2,), ring=(3, 0))
def test_an_image_is_a_pvh_domain(guest):
    cores = guest.pack(guest.build("machine.c"), "cores", framed=False)
    status = guest.pack(guest.build("streams.c"), "7", framed=False)
    said, log = xen.run_domains([("a", cores, 64, 2), ("b", status, 64, 2)], guest.timeout_s)
    if said != [["2 4"], ["0 bytes", "atoll: exit status 7"]]:
        raise TestFailure(f"the domains said {said}", log)
