# SPDX-License-Identifier: Apache-2.0
"""The calls of the gate that an image does not allow are refused by the kernel, in both rings."""
import re
import tempfile

import lib
from atoll.gate import gate_calls, mask_of
from test_conformance import FOLDER, gate_include_flags

REFUSED = ("protect", "thread_create", "information,unmap", "",
           "thread_create,unmap,protect,console,information")


def raw_code():
    """The instructions of gate_raw.h."""
    text = (FOLDER / "hostile/gate_raw.h").read_text()
    return bytes(int(byte, 16) for byte in
                 re.findall(r"0x[0-9a-f]{2}", re.search(r"raw_code\[\] = \{([^}]*)\}", text)[1]))


# @verifies ATL-LLR-GATE-0050~1 @robust
@lib.system_test(matrix=lib.PAIRWISE, timeout_s=60, libc=("musl",), refused=REFUSED)
def test_refused_calls_do_nothing(guest):
    allowed = [name for name in gate_calls() if name not in guest.refused.split(",")]
    program = guest.build("hostile/gate_refused.c", *gate_include_flags())
    with tempfile.NamedTemporaryFile() as code:
        code.write(raw_code())
        code.flush()
        image = guest.pack(program, f"{mask_of(allowed):x}", "/raw", files=[(code.name, "/raw")],
                           gate=allowed)
    guest.boot(image).expect(stdout=b"allowed\n" if "console" in allowed else b"", stderr=b"", status=0)
