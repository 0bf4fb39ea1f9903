# SPDX-License-Identifier: Apache-2.0
"""`placement`: who moves a thread that computes on one core while others idle."""
from lib import FULL, PAIRWISE, system_test


def run(guest, placement, mask, until, **settings):
    image = guest.pack(guest.build("placement.c"), str(mask), until, placement=placement, quantum_us=1000,
                       **settings)
    return guest.boot(image)


def expect(guest, result, seen):
    text = f"cores {seen:#x} signals 20 threads {2 * guest.cores + 1}\n"
    result.expect(stdout=text.encode(), stderr=b"", status=0)


# @verifies ATL-LLR-GATE-0040~2 ATL-LLR-PERCPU-0023~1 ATL-LLR-PERCPU-0024~1
@system_test(matrix=FULL, timeout_s=120)
def test_balanced_spreads_threads_to_every_core(guest):
    expect(guest, run(guest, "balanced", 0, "spread"), (1 << guest.cores) - 1)


# @verifies ATL-LLR-GATE-0040~2
@system_test(matrix=PAIRWISE, timeout_s=120, ring=(3,), cores=(2, 4))
def test_balanced_with_random_delays(guest):
    expect(guest, run(guest, "balanced", 0, "spread", variant="perturb"), (1 << guest.cores) - 1)


# @verifies ATL-LLR-PERCPU-0023~1
@system_test(matrix=PAIRWISE, timeout_s=120, cores=(4,))
def test_balanced_keeps_to_the_affinity(guest):
    expect(guest, run(guest, "balanced", 5, "spread"), 5)


# @verifies ATL-LLR-PERCPU-0024~1
@system_test(matrix=PAIRWISE, timeout_s=120)
def test_fixed_moves_nobody(guest):
    expect(guest, run(guest, "fixed", 0, "stay"), 1)
