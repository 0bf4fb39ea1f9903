# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor (QMP) on a Unix socket."""
import json
import socket

from lib import TestFailure


class Monitor:
    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rw")
        self._lines.readline()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """What the command returns; a command that is refused fails the test."""
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        answer = {}
        while "return" not in answer and "error" not in answer:  # events come between
            answer = json.loads(self._lines.readline())
        if "error" in answer:
            raise TestFailure(f"QEMU refuses {command}: {answer['error']}", "")
        return answer["return"]

    def say(self, line):
        """A command of the monitor for people: text is what went wrong."""
        text = self.execute("human-monitor-command", **{"command-line": line})
        if text:
            raise TestFailure(f"QEMU refuses {line}: {text}", "")
