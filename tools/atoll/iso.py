# SPDX-License-Identifier: Apache-2.0
"""`./atoll pack --iso`: an image on a medium that boots by itself. GRUB is put before it by its own
grub-mkrescue, for BIOS and for UEFI; the same file is a CD and a disk."""
import pathlib
import subprocess
import tempfile

from atoll.errors import ToolError

PLATFORMS = ("i386-pc", "x86_64-efi")
GRUB_FOLDER = pathlib.Path("/usr/lib/grub")
MODULES = "normal multiboot2 serial"
CONFIGURATION = """set timeout=0
serial --unit=0
menuentry atoll {
    multiboot2 /boot/atoll
    boot
}
"""
_INSTALL = "install grub-common, grub-pc-bin, grub-efi-amd64-bin, xorriso and mtools: ./atoll setup"


# @impl ATL-LLR-TOOL-0144~1
def build_iso(image):
    """The bytes of an ISO 9660 medium that boots the image by GRUB's multiboot2."""
    for platform in PLATFORMS:
        if not (GRUB_FOLDER / platform).is_dir():
            raise ToolError(f"GRUB for {platform} is missing", _INSTALL)
    with tempfile.TemporaryDirectory(prefix="atoll-iso-") as name:
        tree, target = pathlib.Path(name, "tree"), pathlib.Path(name, "iso")
        boot = tree / "boot"
        (boot / "grub").mkdir(parents=True)
        (boot / "atoll").write_bytes(image)
        (boot / "grub" / "grub.cfg").write_text(CONFIGURATION)
        try:
            done = subprocess.run(
                ["grub-mkrescue", f"--install-modules={MODULES}", "--fonts=", "--themes=", "--locales=", "-o",
                 str(target), str(tree)], capture_output=True, text=True, errors="replace")
        except FileNotFoundError:
            raise ToolError("grub-mkrescue is missing", _INSTALL) from None
        if done.returncode != 0 or not target.is_file():
            raise ToolError(f"grub-mkrescue failed:\n{done.stderr.strip()}", _INSTALL)
        return target.read_bytes()
