# SPDX-License-Identifier: Apache-2.0
"""SQLite of Debian: its own benchmark, whose answers to every query are compared with Linux, and
connections of four threads to one file, with PRAGMA integrity_check afterwards."""
# @verifies ATL-HLR-REAL-0001~1
import lib
import real

STORES = {"memory": ("--memdb",), "file": ("test.db",), "wal": ("--journal", "wal", "test.db")}


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60, store=tuple(STORES))
def test_speedtest(guest):
    # The answers go elsewhere than the times.
    real.same(guest, real.build("sqlite").folder / "speedtest1", "--size", "1", "--verify",
              "--output", "/dev/stderr", *STORES[guest.store], stream="stderr")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60, journal=("delete", "wal"))
def test_threads(guest):
    real.same(guest, real.build("sqlite").folder / "sqlite_threads", "bank.db", guest.journal)
