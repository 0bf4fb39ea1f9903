# SPDX-License-Identifier: Apache-2.0
"""The kernel.elf and posix.elf that one run of the system tests boots: built once, then copied, so
that a change of the sources meanwhile cannot mix two versions in one run."""
import shutil
import threading

from atoll.build import POSIX, build_image_parts
from atoll.paths import build_directory

_lock = threading.Lock()
_frozen = {}


def frozen_parts(variant="image", net="none"):
    """Paths of (kernel.elf, posix.elf), the same files for the life of this process."""
    with _lock:
        if variant not in _frozen:
            folder = build_directory() / "tested" / variant
            folder.mkdir(parents=True, exist_ok=True)
            _frozen[variant] = {each: tuple(shutil.copy(path, folder / path.name)
                                            for path in build_image_parts(variant, each))
                                for each in POSIX}
        return _frozen[variant][net]
