#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The server of doorbells, seen from machines that connect to it."""
import os
import pathlib
import socket
import struct
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from atoll.errors import ToolError  # noqa: E402
from atoll.neighbour import NEIGHBOUR_BYTES, DoorbellServer, neighbour_device  # noqa: E402


class Machine:
    """Takes what the server says, message by message: (number, descriptor or None)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)

    def take(self):
        data, descriptors, _, _ = socket.recv_fds(self.socket, 8, 1)
        return struct.unpack("<q", data)[0], (descriptors or [None])[0]

    def close(self):
        self.socket.close()


class DoorbellServerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="atoll-bell-")
        self.addCleanup(self.folder.cleanup)
        self.path, self.file = f"{self.folder.name}/bell", f"{self.folder.name}/shared"

    def start(self):
        server = DoorbellServer(self.path, self.file)
        thread = threading.Thread(target=server.serve)
        thread.start()

        def end():
            server.stop()
            thread.join()
            server.close()
        self.addCleanup(end)
        return server

    def join(self, number):
        """A machine that has its number and the memory."""
        machine = Machine(self.path)
        self.addCleanup(machine.close)
        self.assertEqual(machine.take(), (0, None))
        self.assertEqual(machine.take(), (number, None))
        value, memory = machine.take()
        self.assertEqual((value, os.fstat(memory).st_size), (-1, NEIGHBOUR_BYTES))
        os.close(memory)
        return machine

    # @verifies ATL-LLR-NEIGHBOUR-1051~1
    def test_machines_get_each_others_bells(self):
        self.start()
        first = self.join(0)
        number, own = first.take()
        self.assertEqual(number, 0)
        second = self.join(1)
        number, other = second.take()
        self.assertEqual(number, 0)
        self.assertEqual(second.take()[0], 1)
        os.eventfd_write(other, 5)
        self.assertEqual(os.eventfd_read(own), 5)
        self.assertEqual(first.take()[0], 1)
        second.socket.close()
        self.assertEqual(first.take(), (1, None))
        third = self.join(2)  # no number comes again
        self.assertEqual(third.take()[0], 0)
        self.assertEqual(first.take()[0], 2)

    # @verifies ATL-LLR-NEIGHBOUR-1050~1 ATL-LLR-NEIGHBOUR-1051~1 @robust
    def test_who_only_looks_disturbs_nobody(self):
        self.start()
        first = self.join(0)
        first.take()
        for _ in range(100):
            self.assertIn("ivshmem-doorbell,chardev=neighbour,vectors=1", neighbour_device("unix:" + self.path))
        first.socket.setblocking(False)
        last = Machine(self.path)
        self.addCleanup(last.close)
        last.take()
        number, _ = last.take()
        first.socket.setblocking(True)
        told = 0
        while told != number:
            told, _ = first.take()

    # @verifies ATL-LLR-NEIGHBOUR-1051~1 @robust
    def test_what_cannot_be_served_is_refused(self):
        self.start()
        with self.assertRaisesRegex(ToolError, "another server"):
            DoorbellServer(self.path, self.file)
        for path, message in (("x" * 108, "107 bytes"), ("", "107 bytes"),
                              (self.folder.name, "socket can be made"), (self.file, "socket can be made"),
                              (f"{self.folder.name}/none/bell", "No such file")):
            with self.assertRaisesRegex(ToolError, message):
                DoorbellServer(path, self.file)
        self.assertEqual(os.stat(self.file).st_size, NEIGHBOUR_BYTES)
        with self.assertRaisesRegex(ToolError, "Is a directory"):
            DoorbellServer(self.path + "2", self.folder.name)

    # @verifies ATL-LLR-NEIGHBOUR-1051~1
    def test_a_killed_servers_socket_is_replaced(self):
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(self.path)
        with self.assertRaisesRegex(ToolError, "./atoll neighbour"):
            neighbour_device("unix:" + self.path)
        server = self.start()
        self.join(0)
        self.assertEqual(server.path, self.path)


if __name__ == "__main__":
    unittest.main()
