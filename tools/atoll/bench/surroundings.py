# SPDX-License-Identifier: Apache-2.0
"""Under what the Linux guest is measured: what it says itself (bench/boot/surroundings.c)."""
import pathlib
import re
import tempfile

from atoll.bench.boot import build_boot_program
from atoll.bench.linux_guest import COMMAND_LINE, initial_files
from atoll.bench.measure import Job, run_linux


# @impl ATL-LLR-TOOL-1060~1
def parse_surroundings(text):
    """{name: what the guest says of it}; mitigations that nothing needs are left out."""
    said = {m[1]: m[2].strip() for m in re.finditer(r"^guest ([^:\n]+): (.+)$", text, re.M)}
    return {name: value for name, value in said.items() if value != "Not affected"}


# @impl ATL-LLR-TOOL-1060~1
def linux_surroundings(options):
    """The same of a guest that is booted for it; with the kernel's command line."""
    job = Job("surroundings", build_boot_program("surroundings.c"))
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        initrd = pathlib.Path(folder, "initrd")
        initrd.write_bytes(initial_files(job.program))
        return parse_surroundings(run_linux(job, options, initrd)) | {"command line": COMMAND_LINE}


def surroundings_text(said):
    return "; ".join(f"{name}: {value}" for name, value in said.items())
