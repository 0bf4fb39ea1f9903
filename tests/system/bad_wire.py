# SPDX-License-Identifier: Apache-2.0
"""A wire that loses, delays and garbles: bridge.py between two taps."""
import json
import os
import pathlib
import subprocess
import sys

from atoll.namespace import add_tap
from atoll.paths import ROOT
from atoll.testing.results import TestFailure


class BadWire:
    """bridge.py between the tap `ours`, which has this machine's addresses, and the tap `guest`, which is QEMU's."""

    def __init__(self, seed, *addresses, **probabilities):
        add_tap("ours", *addresses)
        add_tap("guest")
        words = [f"{name}={value}" for name, value in probabilities.items()]
        self._process = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__).with_name("bridge.py")), "ours", "guest", str(seed), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tools")})
        if self._process.stdout.readline() != "ready\n":
            raise TestFailure("the bridge does not start")

    def end(self):
        """What it did: {"to_guest": {fault: frames}, "to_us": ...}."""
        told, _ = self._process.communicate("")
        return json.loads(told)
