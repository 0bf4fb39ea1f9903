# SPDX-License-Identifier: Apache-2.0
"""QuickJS of Debian, static with glibc: its own tests."""
# @verifies ATL-HLR-REAL-0001~1
import lib
import real

OWN_TESTS = ("closure", "language", "builtin", "loop", "bigint", "cyclic_import")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60, script=OWN_TESTS)
def test_own_tests(guest):
    built = real.build("quickjs")
    real.same(guest, built.folder / "qjs", "--std", f"test_{guest.script}.js",
              folder=built.folder / "tests")
