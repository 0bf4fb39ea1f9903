# SPDX-License-Identifier: Apache-2.0
"""What the loader does with the image's table of system-call sites, seen from the program."""
import re

import lib
from test_conformance import gate_include_flags


def calls_and_reflections(result):
    """What the program printed: the first byte of one of its sites, and how its calls came."""
    match = re.fullmatch(rb"first byte ([0-9a-f]{2}), file ([0-9a-f]{2}), reflections (\d+)\n", result.stdout)
    result.expect_that(match is not None, f"the program says what it saw: {result.stdout}")
    return match[1], match[2], int(match[3])


@lib.system_test(matrix=lib.PAIRWISE, cores=(1,), calls=("detoured", "reflected"))
def test_calls_enter_without_the_kernel(guest):
    # @verifies ATL-LLR-POSIX-0007~1 ATL-LLR-TOOL-0071~1
    # @verifies ATL-LLR-LOAD-0012~1
    result = guest.run(guest.build("detour.c", *gate_include_flags())).expect(status=0)
    first, in_file, reflections = calls_and_reflections(result)
    result.expect_that(in_file == b"b8", "the file is what was built")
    if guest.calls == "detoured":
        result.expect_that(first == b"e9" and reflections == 0, "a jump, and no call through the kernel")
    else:
        result.expect_that(first == b"b8" and reflections >= 1000, "the call goes through the kernel")
