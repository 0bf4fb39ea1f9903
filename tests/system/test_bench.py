# SPDX-License-Identifier: Apache-2.0
"""./atoll bench asks real servers: each of them once, with little load; nothing is said of the figures."""
# @verifies ATL-LLR-TOOL-1020~1 ATL-LLR-TOOL-0971~2 ATL-LLR-TOOL-1022~1
import dataclasses

from atoll.bench.measure import Options
from atoll.bench.network import BUSIEST, CROSSINGS, RATE, SERVERS, measure_server
from lib import PAIRWISE, system_test

LITTLE = {"http": (1, 1, 1), "nginx": (1, 1, 1), "memcached": (32, 320, 160), "redis": (32, 320, 160),
          "iperf3": (64, 1024, 512), "forwarder": (100, 1000, 500)}
CALLS_MAX = 100  # of an operation: more are none of a request's


def measure(guest):
    make, loads = SERVERS[guest.server]
    warm_up, counted, timed = LITTLE[guest.server]
    little = [dataclasses.replace(load, warm_up=warm_up, counted=counted, timed=timed) for load in loads]
    rows = measure_server(make, little, f"atoll-ring{guest.ring}", Options(), guest.cores)
    for load in loads:
        name = f"{load.title}, 2 cores"
        for metric in (name, f"{name}: {CROSSINGS}", f"{name}: {RATE}"):
            assert rows[metric][0] > 0, (metric, rows)
        assert 50 <= rows[f"{name}: {BUSIEST}"][0] <= 100, rows
        assert rows[f"{name}: {CROSSINGS}"][0] < CALLS_MAX, rows


@system_test(matrix=PAIRWISE, ring=(3,), machine=("q35",), libc=("musl",), cores=(2,), server=tuple(LITTLE), timeout_s=120)
def test_each_server_is_measured(guest):
    measure(guest)


@system_test(matrix=PAIRWISE, ring=(0,), machine=("q35",), libc=("musl",), cores=(2,), server=("http",), timeout_s=120)
def test_ring_0_has_gate_crossings_too(guest):
    measure(guest)
