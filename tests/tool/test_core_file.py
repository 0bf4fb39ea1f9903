# SPDX-License-Identifier: Apache-2.0
"""Core files without a machine: what binutils read in one, and what a hostile stub is not believed."""
import io
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading
import unittest

import support  # noqa: F401  (sets the path)
from atoll.core_file import rings_of, write_core
from atoll.crash import describe_signal, made_up, next_path
from atoll.errors import ToolError
from atoll.remote import Registers, Remote, RemoteClosed, RemoteError
from atoll.snapshot import KIND_IMAGE, KIND_OWN, KIND_UNTOUCHED, Machine, Run, Snapshot, Thread

REGISTER_BYTES = 816


def registers(seed):
    return Registers(bytes((seed + i) % 256 for i in range(REGISTER_BYTES)))


def snapshot(runs, threads=2):
    auxiliary = struct.pack("<4Q", 6, 4096, 0, 0)
    return Snapshot([Thread(i + 1, f"thread {i}", i, registers(i), (1 << 64) - 1) for i in range(threads)], runs,
                    auxiliary, ["./prog", "a"], made_up(11), b"rings")


RUNS = [Run(0x1000, 0x1000, KIND_IMAGE, 5, [(0x1000, 0x1000, 0)], 0x3000, "/bin/prog"),
        Run(0x4000, 0x2000, KIND_OWN, 3, [(0x4000, 0x1000, 0), (0x5000, 0x1000, 0)]),
        Run(0x10000, 1 << 40, KIND_UNTOUCHED, 3, [(0x10000, 1 << 40, 0)])]


class CoreFileTest(unittest.TestCase):
    def write(self, wanted, read):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "core.1"
        with open(path, "wb") as stream:
            write_core(stream, wanted, read)
        return path

    # @verifies ATL-LLR-DEBUG-0703~1
    def test_binutils_read_it(self):
        path = self.write(snapshot(RUNS), lambda run: [bytes([run.kind]) * count for _, count, _ in run.pieces])
        said = subprocess.run(["readelf", "-hlnW", path], capture_output=True, text=True).stdout
        self.assertRegex(said, r"Type: +CORE")
        for line in (r"NOTE +0x[0-9a-f]+ 0x0+ ", r"LOAD +0x[0-9a-f]+ 0x0+1000 0x0+ 0x001000 0x001000 R E",
                     r"LOAD +0x[0-9a-f]+ 0x0+4000 0x0+ 0x002000 0x002000 RW ",
                     r"LOAD +0x[0-9a-f]+ 0x0+10000 0x0+ 0x000000 0x10000000000 RW "):
            self.assertRegex(said, line)
        self.assertEqual([said.count(name) for name in ("NT_PRSTATUS", "NT_FPREGSET", "NT_X86_XSTATE", "NT_SIGINFO",
                                                        "NT_AUXV", "NT_FILE", "NT_PRPSINFO", "ATOLL")],
                         [2, 2, 2, 1, 1, 1, 1, 1])
        self.assertIn(struct.pack("<5Q", 1, 4096, 0x1000, 0x2000, 3) + b"/bin/prog\0", path.read_bytes())
        self.assertEqual(path.read_bytes()[-0x2000:], bytes([KIND_OWN]) * 0x2000)

    # @verifies ATL-LLR-TOOL-0610~1 @robust
    def test_its_rings_are_found_again(self):
        data = bytearray(self.write(snapshot(RUNS), lambda run: [bytes(0x1000)] * len(run.pieces)).read_bytes())
        self.assertEqual(rings_of(data, "core.1"), b"rings")
        note = data.index(b"ATOLL\0") - 12
        for at in (note, note + 4):  # bytes of the owner's name, of the content
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, at, 0xfffffff0)
            self.assertIsNone(rings_of(damaged, "core.1"))
        struct.pack_into("<H", data, 16, 2)
        self.assertIsNone(rings_of(data, "a program"))
        with self.assertRaises(ToolError):
            rings_of(data[:100], "core.1")
        with self.assertRaises(ToolError):
            rings_of(b"#!/bin/sh", "core.1")

    # @verifies ATL-LLR-DEBUG-0703~1
    def test_more_segments_than_a_header_can_count(self):
        runs = [Run(0x2000 * i, 0x1000, KIND_UNTOUCHED, 1 + i % 2, [(0x2000 * i, 0x1000, 0)]) for i in range(1, 66000)]
        stream = io.BytesIO()
        write_core(stream, snapshot(runs), lambda run: [bytes(0x1000)])
        data = stream.getvalue()
        self.assertEqual(struct.unpack_from("<H", data, 56), (0xffff,))
        self.assertEqual(struct.unpack_from("<I", data, 64 + 44), (66000,))

    # @verifies ATL-LLR-DEBUG-0705~1
    def test_a_name_is_never_taken_twice(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            self.assertEqual(next_path(folder).name, "core.1")
            (folder / "core.1").touch()
            self.assertEqual(next_path(folder).name, "core.2")

    # @verifies ATL-LLR-DEBUG-0706~1
    def test_what_happened_in_words(self):
        fault = struct.pack("<3i4xQ", 11, 0, 2, 0x1234).ljust(128, b"\0")
        self.assertEqual(describe_signal(fault), "SIGSEGV at address 0x1234 (the access is not allowed)")
        sent = struct.pack("<3i4xQ", 6, 0, -6, 1).ljust(128, b"\0")
        self.assertEqual(describe_signal(sent), "SIGABRT, sent by the program itself")
        self.assertEqual(describe_signal(struct.pack("<3i", 63, 0, 5).ljust(128, b"\0")), "signal 63")


def packet(body):
    return b"$%s#%02x" % (body, sum(body) & 0xff)


class RemoteTest(unittest.TestCase):
    """A stub that answers each packet with the next of a list."""

    def remote(self, *replies, answer_seconds=20.0):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)

        def serve():
            with theirs:
                for reply in replies:
                    data = b""
                    while b"#" not in data:
                        piece = theirs.recv(4096)
                        if not piece:
                            return
                        data += piece
                    theirs.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 20)
        return Remote(ours, answer_seconds)

    # @verifies ATL-LLR-DEBUG-0700~1
    def test_good_replies(self):
        self.assertEqual(self.remote(b"+" + packet(b"b" + b"}\x03}\x5dx")).memory(0, 3), b"#}x")
        self.assertEqual(self.remote(packet(b"mab"), packet(b"lc")).document(b"auxv:read:"), b"abc")
        self.assertEqual(self.remote(packet(b"E0e")).word(0), None)
        greeting = packet(b"PacketSize=3f00;vContSupported+")
        self.remote(b"+" + greeting, b"+" + greeting + packet(b"OK")).attach()

    # @verifies ATL-LLR-DEBUG-0700~1 @robust
    def test_bad_replies(self):
        for reply in (b"$OK#00", packet(b"E01"), packet(b""), b"$" + b"x" * 40000, packet(b"ok")):
            with self.assertRaises(RemoteError):
                self.remote(reply).order(b"D")
        for reply in (b"", packet(b"b12345")[:4]):
            with self.assertRaises(RemoteClosed):
                self.remote(reply).ask(b"g")
        self.assertEqual(self.remote(packet(b"b123456789")).memory(0, 4), b"")
        for reply in (b"E0e", b"xyz", b"00" * (REGISTER_BYTES - 1), b"00" * (REGISTER_BYTES + 1), "\u00e9".encode()):
            with self.assertRaises(RemoteError):
                self.remote(packet(b"OK"), packet(reply)).registers(1)
        with self.assertRaises(RemoteError):
            self.remote(packet(b"nothing")).document(b"auxv:read:")
        with self.assertRaises(RemoteError):
            self.remote(packet(b"vContSupported-")).attach()

    # @verifies ATL-LLR-DEBUG-0700~1 @robust
    def test_bad_lists_of_memory(self):
        for reply in (b"1000,1000,2,3;", b"x,1,2,3,4;", b"1000,1000,4,3,0;", b"1000,0,2,3,0;", b"+0", b"+zz",
                      b"1000,1000,3,1,0,0,zz;", b"4000,1000,2,3,0;1000,1000,2,3,0;", b"fffffffffffff000,1000,2,3,0;"):
            machine = Machine.__new__(Machine)
            machine.remote = self.remote(packet(reply))
            with self.assertRaises(RemoteError):
                machine.runs()
        machine.remote = self.remote(packet(b"1000,1000,2,3,9000;2000,1000,2,3,5000;+3000"), packet(b"8000,1000,1,3,0;"))
        self.assertEqual([(run.start, run.bytes, len(run.pieces)) for run in machine.runs()],
                         [(0x1000, 0x2000, 2), (0x8000, 0x1000, 1)])


if __name__ == "__main__":
    unittest.main()
