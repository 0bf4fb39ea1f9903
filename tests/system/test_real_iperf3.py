# SPDX-License-Identifier: Apache-2.0
"""iperf3's server, and this machine's iperf3: both directions, both families, several streams, TCP and UDP. How
fast it was is not judged."""
# @verifies ATL-HLR-REAL-0010~1
import json

import lib
import real
import servers

BYTES = 4 << 20
READY = b"Server listening"
TESTS = (("-c", servers.ADDRESS_4), ("-c", servers.ADDRESS_4, "-R"), ("-c", servers.ADDRESS_6, "-P", "3"),
         ("-c", servers.ADDRESS_6, "-R", "-P", "3"), ("-c", servers.ADDRESS_4, "--bidir"),
         ("-c", servers.ADDRESS_4, "-u", "-b", "20M"), ("-c", servers.ADDRESS_6, "-u", "-b", "20M", "-R"))


def clients(console):
    for number, options in enumerate(TESTS, 1):
        console.wait_for(READY, number)  # it listens anew for each test
        is_udp = "-u" in options
        report = json.loads(servers.run_client("iperf3", "--json", "-n", BYTES // 4 if is_udp else BYTES, *options))
        if "error" in report:
            raise AssertionError(f"{options}: {report}")
        end = report["end"]
        received = end["sum_received"]  # as the receiver counts
        moved = received["packets"] - received["lost_packets"] if is_udp else received["bytes"]
        if min(moved, received["bytes"], end["sum_sent"]["bytes"]) <= 0:
            raise AssertionError(f"{options}: {report}")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=120)
def test_iperf3(guest):
    program = real.build("iperf3").folder / "program"
    server = servers.Server(program, ("5201",), ready=READY)
    servers.serve(guest, server, lambda: clients(server.console)).expect(status=130)  # SIGINT ends it
