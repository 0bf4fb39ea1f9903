# SPDX-License-Identifier: Apache-2.0
"""The N-th allocation is refused, for all N until a run ends without a refusal: by posix/, or of a
frame by the kernel. Programs must see an errno or cope, and whatever they do, what they took comes back.
The build with hooks refuses (tests/system/hooks/refuse.h)."""
import re

from lib import ONE, PAIRWISE, system_test
from test_conformance import GUEST_FILE, arguments_of, build, gate_include_flags, host_file, programs

KINDS = {"allocation": 0, "frame": 1, "frame_of_call": 2}


# @verifies ATL-HLR-CONF-0051~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=60, kind=tuple(KINDS), cores=(1, 2), machine=("microvm",))
def test_works_survive_every_refusal(guest):
    if guest.kind == "frame" and guest.cores == 1:
        guest.kind = "frame_of_call"  # a touched page for which nobody has a frame ends the program
    binary = guest.build("refused.c", *gate_include_flags())
    result = guest.run(binary, guest.kind, variant="hooks").expect(status=0, stderr=b"")
    refused = {name: int(times) for name, times in re.findall(r"(\w+) (\d+)\n", result.stdout.decode())}
    result.expect_that(len(refused) == 14, "all works were done")
    result.expect_that(refused["files" if guest.kind == "allocation" else "mapping"] >= 3,
                       "something was refused")
