# SPDX-License-Identifier: Apache-2.0
"""QEMU's monitor (QMP) on a Unix socket: one line of JSON a command."""
import json
import socket

from atoll.errors import ToolError


def monitor_arguments(path):
    """QEMU's arguments for a monitor that listens at the path."""
    return ("-qmp", f"unix:{path},server=on,wait=off")


class Monitor:
    def __init__(self, path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        self._begin(connection)

    @classmethod
    def of(cls, connection):
        """A monitor that has connected to us."""
        monitor = cls.__new__(cls)
        monitor._begin(connection)
        return monitor

    def _begin(self, connection):
        self._socket = connection
        self._lines = connection.makefile("rw")
        self._lines.readline()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """What the command returns; ToolError if QEMU refuses it or is gone."""
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        answer = {}
        while "return" not in answer and "error" not in answer:  # events come between
            line = self._lines.readline()
            if not line:
                raise ToolError(f"QEMU ended before it answered to {command}")
            answer = json.loads(line)
        if "error" in answer:
            raise ToolError(f"QEMU refuses {command}: {answer['error']}")
        return answer["return"]
