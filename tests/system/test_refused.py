# SPDX-License-Identifier: Apache-2.0
"""The N-th allocation is refused, for all N until a run ends without a refusal: by posix/, or of a
frame by the kernel. Programs must see an errno or cope, and whatever they do, what they took comes back.
The build with hooks refuses (tests/system/hooks/refuse.h)."""
import re
import zlib

from lib import ONE, PAIRWISE, system_test
from test_conformance import GUEST_FILE, arguments_of, build, gate_include_flags, host_file, programs

KINDS = {"allocation": 0, "frame": 1, "frame_of_call": 2}


# @verifies ATL-HLR-CONF-0051~1 ATL-LLR-NET-0932~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=180, kind=tuple(KINDS), cores=(1, 2), machine=("microvm",))
def test_works_survive_every_refusal(guest):
    if guest.kind == "frame" and guest.cores == 1:
        guest.kind = "frame_of_call"  # a touched page for which nobody has a frame ends the program
    binary = guest.build("refused.c", *gate_include_flags())
    result = guest.run(binary, guest.kind, variant="hooks").expect(status=0, stderr=b"")
    refused = {name: int(times) for name, times in re.findall(r"(\w+) (\d+)\n", result.stdout.decode())}
    result.expect_that(len(refused) == 18, "all works were done")
    result.expect_that(refused["files" if guest.kind == "allocation" else "mapping"] >= 3,
                       "something was refused")


# Small versions of conformance programs, and about how many allocations they make.
PROGRAMS = {"threads": 400, "condvar": 100, "memory": 60, "files": 150, "file_mapping": 80,
            "pipes": 200, "epoll": 150, "timers": 80, "proc_files": 150, "timerfd": 30,
            "sockets": 120, "socket_names": 100, "socket_messages": 600, "socket_threads": 300,
            "tcp": 600, "udp": 400}
STATUS_KILLED = 137


def nothing_is_refused(guest, kind, n):
    """Boots a program with its n-th allocation of a kind refused; whether it made fewer."""
    program = next(row for row in programs() if row["name"] == guest.program)
    file = host_file(program)
    words = arguments_of(program, GUEST_FILE)
    if "--count" in words:
        words[words.index("--count") + 1] = "5"
    result = guest.run(build(guest, program), "--refuse", f"{KINDS[kind]}:{n}", *words,
                       variant="hooks", memory=program["memory"],
                       files=[(str(file), GUEST_FILE)] if file else [])
    lines = result.stdout.decode("utf-8", "backslashreplace").splitlines()
    failed = [line for line in lines if line.startswith("FAIL ")]
    if result.status == STATUS_KILLED and kind == "frame":
        result.expect_that(b"atoll: out of memory: core" in result.stderr and not failed,
                           "the want of memory is explained")
    elif result.status == 1:
        result.expect_that(failed and "unexpected signal (is 11" not in failed[0],
                           "the program sees that a call fails")
    else:
        result.expect(status=0, stderr=b"")
        result.expect_that(lines[-1] == "all ok" and not failed, "it copes")
    return "nothing was refused" in lines


# @verifies ATL-HLR-CONF-0051~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=60, program=tuple(PROGRAMS), cores=(1, 2), libc=("musl",),
             machine=("microvm",))
def test_programs_survive_a_refusal(guest):
    number = zlib.crc32(repr(sorted(guest.configuration.items())).encode())
    nothing_is_refused(guest, "allocation", 1 + number % PROGRAMS[guest.program])
    nothing_is_refused(guest, "frame", 1 + number % 30)


# @verifies ATL-HLR-CONF-0051~1 @robust
@system_test(matrix=ONE, timeout_s=60, step=(10, 1), program=tuple(PROGRAMS)[::-1],
             kind=("allocation", "frame"), ring=(3,), cores=(1,), libc=("musl",), machine=("microvm",))
def test_programs_survive_every_refusal(guest):
    n = 1
    while n <= PROGRAMS[guest.program] and not nothing_is_refused(guest, guest.kind, n):
        n += guest.step
