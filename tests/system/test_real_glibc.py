# SPDX-License-Identifier: Apache-2.0
"""glibc's own tests of threads and system calls, as static programs. Each judges itself by its status; one
that says that it could not test what it is for fails here."""
# @verifies ATL-HLR-REAL-0001~1
import collections
import pathlib
import re
import tempfile

import lib
import real

IN_VAIN = re.compile(rb"not support|unsupported|cannot support|skipping|cannot set", re.I)


def groups():
    found = collections.defaultdict(list)
    for line in (real.FOLDER / "recipes/glibc.txt").read_text().splitlines():
        if not line.startswith("#"):
            group, names = line.split(": ")
            found[group] += [name.rsplit("/", 1)[1] for name in names.split()]
    return dict(found)


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60, group=tuple(groups()))
def test_glibc(guest):
    programs = real.build("glibc").folder / "programs"
    with tempfile.TemporaryDirectory() as folder:
        services = pathlib.Path(folder, "services")
        services.write_text("http 80/tcp\n")  # all that tst-getaddrinfo4 asks for
        for name in groups()[guest.group]:
            # --direct: without a second process that watches the first.
            result = real.run(guest, programs / name, "--direct", files=[(str(services), "/etc/services")])
            result.expect(status=0)
            result.expect_that(not IN_VAIN.search(result.stdout + result.stderr), f"{name} could test")
