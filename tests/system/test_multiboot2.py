# SPDX-License-Identifier: Apache-2.0
"""A packed image boots by GRUB's multiboot2 from a CD image, on a PC with BIOS and with UEFI."""
import pathlib
import shutil
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


def make_iso(image, folder, platform):
    """Path of an ISO whose GRUB, built for the platform, boots the image."""
    boot = folder / "tree" / "boot"
    (boot / "grub").mkdir(parents=True)
    (boot / "atoll").write_bytes(image)
    (boot / "grub" / "grub.cfg").write_text(CONFIGURATION)
    iso = folder / "atoll.iso"
    done = subprocess.run(["grub-mkrescue", "-d", f"/usr/lib/grub/{platform}", "-o", iso, folder / "tree"],
                          capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise TestFailure("grub-mkrescue failed", done.stderr)
    return iso


def firmware(folder):
    """QEMU's words for OVMF, which keeps its variables in a copy."""
    variables = folder / "variables"
    shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    return ["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,format=raw,file={variables}"]


def boot(guest, platform):
    image = guest.pack(guest.build("hello.c"), framed=False)
    with tempfile.TemporaryDirectory(prefix="atoll-iso-") as name:
        folder = pathlib.Path(name)
        done = subprocess.run(
            ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "256", "-smp", str(guest.cores),
             *(firmware(folder) if platform == "x86_64-efi" else []),
             "-cdrom", make_iso(image, folder, platform), "-serial", "stdio", "-display", "none",
             "-no-reboot"], capture_output=True, stdin=subprocess.DEVNULL, timeout=guest.timeout_s)
    if b"Hello, world!" not in done.stdout:
        raise TestFailure("the program did not run", done.stdout.decode("utf-8", "backslashreplace")
                          + done.stderr.decode())


# @verifies ATL-LLR-TOOL-0044~1
@system_test(matrix=PAIRWISE, timeout_s=60, machine=("q35",), libc=("musl",), cores=(1, 2))
def test_grub_boots_a_packed_image(guest):
    boot(guest, "i386-pc")


# @verifies ATL-LLR-BOOT-0037~1
@system_test(matrix=PAIRWISE, timeout_s=240, machine=("q35",), libc=("musl",), cores=(2,), ring=(3,))
def test_grub_boots_a_packed_image_by_uefi(guest):
    boot(guest, "x86_64-efi")
