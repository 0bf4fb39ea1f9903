# SPDX-License-Identifier: Apache-2.0
"""A packed image is a PVH domain of Xen 4.17: its console is `xl console`, and how it ended is what xl takes for
its on_poweroff or on_crash."""
import os

import xen
from broken import broken_image
from lib import ONE, TestFailure, system_test

OFF, CRASHED = "0 0x0", "3 0x3"  # reason codes of xl; 1: a reset
# Longer than Xen's page and all that the kernel and the library OS hold for a program that does not read: 1 + 8 + 4 KiB.
TYPED = [f"what is typed in line {number}\n" for number in range(800)]
WRITTEN = [f"line {number}\n" for number in range(1000)] + ["ready\n"]
ANSWERS = [*(f"{number}: {line}" for number, line in enumerate(TYPED))]


def expect(domain, log, **wanted):
    for what, value in wanted.items():
        actual = getattr(domain, what)
        if actual != value:
            same = len(os.path.commonprefix([actual, value]))
            raise TestFailure(f"domain {domain.name}: {what} is {len(actual)} long, expected {len(value)}; from {same} "
                              f"on it is {actual[same:][:200]!r}, expected {value[same:][:200]!r}", log)


# @verifies ATL-LLR-BOOT-0048~2 ATL-LLR-BOOT-1247~2 ATL-LLR-BOOT-1320~1 ATL-LLR-BOOT-1321~1
@system_test(matrix=ONE, timeout_s=900, machine=("q35",), libc=("musl",), cores=(2,), ring=(3,))
def test_an_image_is_a_pvh_domain(guest):
    """Both rings in one host, whose start is the test's time."""
    def pack(program, *arguments, ring=3, **settings):
        return guest.pack(guest.build(program), *arguments, framed=False, ring=ring, **settings)

    shows = [xen.Domain(f"shows{ring}", pack("machine.c", "cores", ring=ring)) for ring in (3, 0)]
    typed = "".join(TYPED).encode()
    answers = [xen.Domain(f"answers{ring}", pack("answers.c", str(len(WRITTEN) - 1), str(status), ring=ring), typed)
               for ring, status in ((3, 0), (0, 7))]
    refused = xen.Domain("refused", pack("machine.c", "cores", cores=3))
    aborts = xen.Domain("aborts", pack("machine.c", "abort"))
    panics = xen.Domain("panics", broken_image(guest, "gate_handle_exit", guest.build("machine.c"), "cores", framed=False)[0])
    log = xen.run_domains([*shows, *answers, refused, aborts, panics], guest.timeout_s)
    for domain in shows:
        expect(domain, log, written=b"2 4\n", logged=[], end=OFF)
    all_seen = "".join([*WRITTEN, *ANSWERS]).encode()
    for domain, last, end in zip(answers, ([], ["atoll: exit status 7"]), (OFF, CRASHED)):
        domain.seen = domain.seen[:len(all_seen)]
        written = all_seen + "".join(f"{line}\n" for line in [f"{len(TYPED)} answers", *last]).encode()
        expect(domain, log, seen=all_seen, written=written, logged=last, end=end)
    expect(refused, log, logged=["atoll: cannot start: the image wants 3 cores, the machine has 2"], end=CRASHED)
    expect(aborts, log, logged=["atoll: ended by signal 6"], end=CRASHED)
    expect(panics, log, end=CRASHED)
    if not panics.logged[0].startswith("atoll: panic: "):
        raise TestFailure("a panic is not in the hypervisor's log", log)
