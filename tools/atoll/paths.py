# SPDX-License-Identifier: Apache-2.0
"""Where things are: the repository, and the build folder (ATOLL_BUILD_DIR moves it)."""
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"


def build_directory():
    """The folder for everything that is made; created on first use."""
    path = pathlib.Path(os.environ.get("ATOLL_BUILD_DIR") or ROOT / "build").resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path
