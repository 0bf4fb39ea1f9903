# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor, for tests: what it refuses fails the test."""
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
