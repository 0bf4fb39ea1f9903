# SPDX-License-Identifier: Apache-2.0
"""CPython 3.11, linked statically from Debian's own library, with the standard library as files."""
# @verifies ATL-HLR-REAL-0001~1
import lib
import real


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=90, script=("threads", "library"))
def test_python(guest):
    built = real.build("python")
    home = str(built.folder / "home")  # the same path in the image
    real.same(guest, built.folder / "python", "-S", f"{guest.script}.py", "argument",
              folder=real.SCRIPTS / "python", files=[(home, home)], environment={"PYTHONHOME": home},
              stdin=b"one\ntwo\nthree\n", memory=192)
