# SPDX-License-Identifier: Apache-2.0
"""pigz of Debian: four threads compress and one checks; the bytes are those that Linux gives."""
# @verifies ATL-HLR-REAL-0001~1
import gzip
import random

import lib
import real

BYTES = 1 << 20


def folder():
    path = lib.build_directory() / "real" / "pigz-files"
    path.mkdir(parents=True, exist_ok=True)
    return path


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60)
def test_compresses_in_threads(guest):
    source = random.Random(3)
    text = b"".join(source.choices([b"core ", b"island ", b"message ", b"gate ", b"frame\n"],
                                   k=BYTES // 6))
    result = real.same(guest, real.build("pigz").folder / "pigz", "-c", "-p", "4", "-b", "128",
                       stdin=text)
    result.expect_that(gzip.decompress(result.stdout) == text, "the text comes back")
    real.same(guest, real.build("pigz").folder / "pigz", "-t", "-v", "-p", "4", stdin=result.stdout)
