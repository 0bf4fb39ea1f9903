# SPDX-License-Identifier: Apache-2.0
"""Lua 5.4 of Debian, static with musl: scripts that print what they find, compared with Linux."""
# @verifies ATL-HLR-REAL-0001~1
import lib
import real

FOLDER = real.SCRIPTS / "lua"


@lib.system_test(matrix=lib.PAIRWISE, libc=("musl",), timeout_s=60,
                 script=("coroutines", "gc", "strings", "files"))
def test_lua(guest):
    program = real.build("lua").folder / "lua"
    real.same(guest, program, f"{guest.script}.lua", folder=FOLDER, stdin=b"first\nlast")
