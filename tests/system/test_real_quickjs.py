# SPDX-License-Identifier: Apache-2.0
"""QuickJS of Debian, static with glibc: its own tests, and workers on several cores."""
# @verifies ATL-HLR-REAL-0001~1
import lib
import real

OWN_TESTS = ("closure", "language", "builtin", "loop", "bigint", "cyclic_import", "worker")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60, script=OWN_TESTS)
def test_own_tests(guest):
    built = real.build("quickjs")
    real.same(guest, built.folder / "qjs", "--std", f"test_{guest.script}.js",
              folder=built.folder / "tests")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60)
def test_workers(guest):
    real.same(guest, real.build("quickjs").folder / "qjs", "workers.js", folder=real.SCRIPTS / "js")
