# SPDX-License-Identifier: Apache-2.0
"""The machine's clock goes forward by an hour under running timers, as it does for a guest that was put
aside and taken up again. QEMU turns no TSC of its own will: the machine is saved, an hour of ticks is
added to the TSC in what was saved, and the machine is loaded again. The APIC timers stay as they were."""
import os
import re
import struct
import subprocess
import tempfile

from lib import PAIRWISE, system_test
from monitor import Monitor
from atoll.testing.results import TestFailure

# Of QEMU's saved state: the section "timer", instance 0, version 2, which begins with the TSC.
TIMER_SECTION = b"\x05timer" + struct.pack(">II", 0, 2)


def turn_clock(path, ticks):
    with open(path, "r+b") as disk:
        data = disk.read()
        places = [found.end() for found in re.finditer(re.escape(TIMER_SECTION), data)]
        if len(places) != 1:
            raise TestFailure(f"{len(places)} sections with the TSC were saved", "")
        tsc = struct.unpack_from(">q", data, places[0])[0]
        disk.seek(places[0])
        disk.write(struct.pack(">q", tsc + ticks))


# @verifies ATL-HLR-CONF-0052~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=120, cores=(2,), libc=("musl",))
def test_an_hour_passes_at_once(guest):
    with tempfile.TemporaryDirectory() as folder:
        disk, monitor = os.path.join(folder, "disk"), os.path.join(folder, "monitor")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)

        def jump(data):
            said = re.match(rb"jump (\d+)\n", data)
            if said:
                control = Monitor(monitor)
                control.execute("stop")
                control.say("savevm then")
                turn_clock(disk, int(said[1]))
                control.say("loadvm then")
                control.execute("cont")

        result = guest.run(guest.build("jump.c"), memory=48, on_output=jump, qemu=(
            "-drive", f"if=none,id=disk,format=qcow2,file={disk}",
            "-qmp", f"unix:{monitor},server=on,wait=off"))
        result.expect(stderr=b"", status=0)
        result.expect_that(result.stdout.endswith(b"\nover\n"), "the program came to its end")
