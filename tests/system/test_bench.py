# SPDX-License-Identifier: Apache-2.0
"""./atoll bench asks real servers: each of them once, with little load; nothing is said of the figures. What is said to
repeat does, and a commit that makes something slower is told."""
# @verifies ATL-LLR-TOOL-1020~1 ATL-LLR-TOOL-0971~2 ATL-LLR-TOOL-1022~2
import dataclasses
import os
import pathlib
import re
import subprocess
import tempfile

from atoll.bench.jobs import job_of
from atoll.bench.measure import Options
from atoll.bench.network import BUSIEST, CROSSINGS, RATE, SERVERS, measure_server
from lib import EACH, FULL_ONLY, PAIRWISE, ROOT, TestFailure, system_test

LITTLE = {"http": (1, 1, 1), "nginx": (1, 1, 1), "memcached": (32, 320, 160), "redis": (32, 320, 160),
          "iperf3": (64, 1024, 512), "forwarder": (100, 1000, 500)}
CALLS_MAX = 100  # of an operation: more are none of a request's
EQUAL = 0.001
SLOWED, SLOWER = "int64_t posix_gettid(void)\n{\n", "    for (volatile int i = 0; i < 100; i++) {\n    }\n"


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


# @verifies ATL-LLR-TOOL-1240~1
@system_test(matrix=EACH, ring=(3,), machine=("q35",), libc=("musl",), cores=(2,), timeout_s=60, program=("gate", "boot"))
def test_counted_figures_repeat(guest):
    """Messages of two cores, and the boot of a machine that waits for clocks."""
    job, options = job_of(guest.program), Options(is_counted=True)
    once, again = (job.measure(f"atoll-ring{guest.ring}", options) for _ in range(2))
    for name, (value, _) in once.items():
        if abs(again[name][0] - value) > EQUAL * value:
            raise TestFailure(f"{name}: {value:,.0f}, then {again[name][0]:,.0f}")


# @verifies ATL-LLR-TOOL-1243~1
@system_test(matrix=FULL_ONLY, ring=(3,), machine=("q35",), libc=("musl",), cores=(2,), timeout_s=1800)
def test_a_slower_commit_is_told(guest):
    """In a clone with a commit that makes one call slower, built on both sides."""
    with tempfile.TemporaryDirectory(prefix="atoll-compare-") as folder:
        tree = pathlib.Path(folder, "tree")
        subprocess.run(["git", "clone", "-q", ROOT, tree], check=True)
        source = tree / "posix/thread/thread.c"
        source.write_text(source.read_text().replace(SLOWED, SLOWED + SLOWER, 1))
        subprocess.run(["git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "slow"],
                       check=True)
        done = subprocess.run([tree / "atoll", "bench", "--compare", "HEAD~1", "--program", "operations", "--program", "boot",
                               "--system", f"atoll-ring{guest.ring}"], capture_output=True, text=True,
                              env={**os.environ, "ATOLL_BUILD_DIR": f"{folder}/build"}, timeout=guest.timeout_s)
    slower = re.findall(r"^(.*) \(atoll-ring3\) .* costs more$", done.stdout, re.M)
    if done.returncode != 1 or slower != ["smallest call of a thread (gettid)"] or "boot until main, q35" not in done.stdout:
        raise TestFailure(f"status {done.returncode}, slower: {slower}", done.stdout + done.stderr)
