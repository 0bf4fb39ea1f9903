# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor, for tests: what it refuses fails the test."""
import mmap
import os

import lib  # noqa: F401  (sets the path)
from atoll.errors import ToolError
from atoll.monitor import Monitor as ToolMonitor
from atoll.testing.results import TestFailure


class Monitor(ToolMonitor):
    def execute(self, command, **arguments):
        try:
            return super().execute(command, **arguments)
        except ToolError as error:
            raise TestFailure(str(error), "") from None

    def say(self, line):
        """A command of the monitor for people: text is what went wrong."""
        text = self.execute("human-monitor-command", **{"command-line": line})
        if text:
            raise TestFailure(f"QEMU refuses {line}: {text}", "")


class Memory(Monitor):
    """QEMU's monitor, and the guest's memory through a file that both map."""

    def __init__(self, folder):
        super().__init__(os.path.join(folder, "monitor"))
        with open(os.path.join(folder, "memory"), "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def rings(self, name, queue, number=0):
        """Where the rings of a queue of the device of that name and number, in the order of QEMU's arguments, lie in
        memory."""
        path = sorted(d["path"] for d in self.execute("x-query-virtio") if d["name"] == name)[number]
        return self.execute("x-query-virtio-queue-status", path=path, queue=queue)
