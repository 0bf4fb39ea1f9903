# SPDX-License-Identifier: Apache-2.0
"""A guest on a tap: TCP and UDP of IPv4 and IPv6 with this machine's own stack, at addresses of its image."""
import socket

from fault_guest import ADDRESS_4, ADDRESS_6, PEER_4, PEER_6, PORT, serve
from lib import PAIRWISE, TestFailure, system_test
from namespace import add_tap


def datagrams(address):
    """Sizes up to one that takes several fragments."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        for size in (0, 1, 1400, 1472, 1473, 6000):
            data = bytes(i * 7 % 251 for i in range(size))
            peer.sendto(data, (address, PORT))
            if peer.recv(65536) != data:
                raise TestFailure(f"{address}: a datagram of {size} bytes does not come back")


# @verifies ATL-LLR-POSIX-0970~1 ATL-LLR-POSIX-0971~1 ATL-LLR-TOOL-0950~1 ATL-LLR-POSIX-0911~1
@system_test(matrix=PAIRWISE, timeout_s=120)
def test_both_protocols_of_both_families(guest):
    def scenario(server):
        for address in (ADDRESS_4, ADDRESS_6):
            if not server.echoes(address, bytes(i % 251 for i in range(200000))):
                raise TestFailure(f"{address} does not echo")
            datagrams(address)

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6))
