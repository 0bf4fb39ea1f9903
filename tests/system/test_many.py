# SPDX-License-Identifier: Apache-2.0
"""Many machines at once on one host, as `./atoll bench --many` counts them."""
import re
import tempfile

from lib import ONE, TestFailure, system_test

from atoll.bench.many import run_many
from atoll.errors import ToolError

COUNTS = 8, 100
SMALLEST_MIB_MAX = 2


# @verifies ATL-LLR-TOOL-0145~1
@system_test(matrix=ONE, timeout_s=120, libc=("musl",), cores=(1,), machine=("microvm",))
def test_many_machines_are_there_at_once(guest):
    kernel, posix = guest.parts(net="plain")  # what the tool gives a program that names no rare call
    count = guest.amount(*COUNTS)
    done = guest.tool("bench", "--many", count, "--kernel", kernel, "--posix", posix)
    found = re.search(rf"smallest machine of one core that runs it: (\d+) MiB\n{count} such machines at once: "
                      r"([\d,]+) MiB of this machine's memory, ([\d,]+) MiB of it the guests'", done.stdout.decode())
    if done.returncode != 0 or not found:
        raise TestFailure("no figures", (done.stdout + done.stderr).decode())
    smallest, total, guests = (int(text.replace(",", "")) for text in found.groups())
    if not (smallest <= SMALLEST_MIB_MAX and 0 < guests <= count * smallest and guests < total):
        raise TestFailure("figures that cannot be", done.stdout.decode())


# @verifies ATL-LLR-TOOL-0145~1 @robust
@system_test(matrix=ONE, timeout_s=60, libc=("musl",), cores=(1,), machine=("microvm",))
def test_a_machine_that_crashes_is_a_failure(guest):
    with tempfile.NamedTemporaryFile() as file:
        file.write(guest.pack(guest.build("crash_null.c")))
        file.flush()
        try:
            run_many(file.name, 2, 64)
        except ToolError as error:
            if "2 of 2 machines failed" in error.message:
                return
    raise TestFailure("a program that crashes passes")
