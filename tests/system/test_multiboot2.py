# SPDX-License-Identifier: Apache-2.0
"""A medium of `./atoll pack --iso` boots by GRUB's multiboot2 as a CD and as a disk, on a PC with BIOS and
with UEFI."""
import pathlib
import shutil
import subprocess
import tempfile

from lib import PAIRWISE, TestFailure, system_test

MEDIA = {"cd": ["-cdrom", "{}"], "disk": ["-drive", "file={},format=raw,snapshot=on"]}


def firmware(folder):
    """QEMU's words for OVMF, which keeps its variables in a copy."""
    variables = folder / "variables"
    shutil.copy("/usr/share/OVMF/OVMF_VARS_4M.fd", variables)
    return ["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,format=raw,file={variables}"]


def boot(guest, is_uefi):
    """The program's output and its status come, and the machine goes off by itself."""
    kernel, posix = guest.parts()
    with tempfile.TemporaryDirectory(prefix="atoll-iso-") as name:
        folder = pathlib.Path(name)
        iso = folder / "hello.iso"
        made = guest.tool("pack", "--iso", "--kernel", kernel, "--posix", posix, "--ring", guest.ring,
                          "--cores", guest.cores, "-o", iso, guest.build("exit_status.c"), "7")
        if made.returncode != 0:
            raise TestFailure("pack --iso failed", made.stderr.decode())
        medium = [word.format(iso) for word in MEDIA[guest.medium]]
        done = subprocess.run(
            ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-m", "256", "-smp", str(guest.cores),
             *(firmware(folder) if is_uefi else []), *medium, "-serial", "stdio", "-display", "none",
             "-no-reboot"], capture_output=True, stdin=subprocess.DEVNULL, timeout=guest.timeout_s)
    if not done.stdout.replace(b"\r", b"").endswith(b"status 7 by return\nexit handlers ran\natoll: exit status 7\n"):
        raise TestFailure("the program did not run to its end", done.stdout.decode("utf-8", "backslashreplace")
                          + done.stderr.decode())


# @verifies ATL-LLR-TOOL-0044~1 ATL-LLR-TOOL-0144~1
@system_test(matrix=PAIRWISE, timeout_s=60, machine=("q35",), libc=("musl",), cores=(1, 2),
             medium=("cd", "disk"))
def test_grub_boots_a_packed_image(guest):
    boot(guest, is_uefi=False)


# @verifies ATL-LLR-BOOT-0037~1 ATL-LLR-TOOL-0144~1
@system_test(matrix=PAIRWISE, timeout_s=240, machine=("q35",), libc=("musl",), cores=(2,), ring=(3,),
             medium=("cd", "disk"))
def test_grub_boots_a_packed_image_by_uefi(guest):
    boot(guest, is_uefi=True)
