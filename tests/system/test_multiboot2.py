# SPDX-License-Identifier: Apache-2.0
"""A packed image boots by GRUB's multiboot2 from a CD image, on a PC with BIOS."""
import pathlib
import subprocess
import tempfile

from lib import PAIRWISE, TestFailure, system_test

CONFIGURATION = """set timeout=0
serial --unit=0
menuentry atoll {
    multiboot2 /boot/atoll
    boot
}
"""


def make_iso(image, folder):
    """Path of an ISO whose GRUB boots the image."""
    boot = folder / "tree" / "boot"
    (boot / "grub").mkdir(parents=True)
    (boot / "atoll").write_bytes(image)
    (boot / "grub" / "grub.cfg").write_text(CONFIGURATION)
    iso = folder / "atoll.iso"
    done = subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", iso, folder / "tree"],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise TestFailure("grub-mkrescue failed", done.stderr)
    return iso


# @verifies ATL-LLR-TOOL-0044~1
@system_test(matrix=PAIRWISE, timeout_s=60, machine=("q35",), libc=("musl",), cores=(1, 2))
def test_grub_boots_a_packed_image(guest):
    image = guest.pack(guest.build("hello.c"), framed=False)
    with tempfile.TemporaryDirectory(prefix="atoll-iso-") as folder:
        iso = make_iso(image, pathlib.Path(folder))
        done = subprocess.run(
            ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "128", "-smp", str(guest.cores),
             "-cdrom", iso, "-serial", "stdio", "-display", "none", "-no-reboot"],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=guest.timeout_s)
    if b"Hello, world!" not in done.stdout:
        raise TestFailure("the program did not run", done.stdout.decode("utf-8", "backslashreplace")
                          + done.stderr.decode())
