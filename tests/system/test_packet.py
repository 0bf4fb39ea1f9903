# SPDX-License-Identifier: Apache-2.0
"""Sockets of AF_PACKET: what they say and hear, beside this machine's own; and the forwarder of apps/ between two
neighbours, which gets every frame as it was sent."""
import os
import queue
import random
import socket
import struct
import subprocess
import threading

from atoll.address import ip_setting
from atoll.build import build_program
from atoll.namespace import add_tap, ip, private_network
from atoll.net import net_arguments
from atoll.paths import ROOT
from atoll.policy import policy_rules
from atoll.tap import open_tap
from frames import Wire, arp, ethernet, packed
from lib import PAIRWISE, TestFailure, system_test

MAC = "52:54:00:12:34:56"
OWN = bytes.fromhex(MAC.replace(":", ""))
LEFT, RIGHT, OTHER = (bytes.fromhex(f"0200000000{last}") for last in ("0a", "0b", "99"))
PROTOCOL, HEAD_BYTES = 0x88B5, 14
SHORTEST = 60  # QEMU fills up what is shorter
SECONDS_MAX = 60
FLOOD = 600
CTRL_C = b"\x03"
INPUT_IS_TERMINAL = (1, 24, 80, 0)


def heard():
    """What packet_sockets.c hears, in order: three frames for it, one for all, one for a group, one for somebody else."""
    rest = bytes(49) + b"\x5a"
    for to in (OWN, OWN, OWN, b"\xff" * 6, bytes.fromhex("01005e000001"), OTHER):
        yield ethernet(to, LEFT, PROTOCOL, rest)


def on_linux(program):
    """The same on this machine, whose tap eth0 is the wire."""
    with private_network():
        wire = open_tap("eth0")
        ip("link", "set", "eth0", "addrgenmode", "none", "address", MAC)
        ip("link", "set", "eth0", "up")
        process = subprocess.Popen([program, "eth0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        said = b"".join(iter(lambda: process.stdout.readline(), b"ready\n"))
        for frame in heard():
            os.write(wire, frame)
        rest, _ = process.communicate(b"go\n", timeout=SECONDS_MAX)
        os.close(wire)
    return said + b"ready\n" + rest


class Guest:
    """A program on a tap, with what it prints and what it is to read."""
    net, mac, ip, taps = "tap=guest", MAC, ("10.9.0.2/24",), ("guest",)

    def __init__(self, guest, program, *arguments, **settings):
        self._guest, self._keys, self._lines, self._text = guest, queue.Queue(), queue.Queue(), b""
        self._image = guest.pack(program, *arguments, net=self.net, ip=[ip_setting(word) for word in self.ip],
                                 **settings)

    def _on_output(self, data):
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._lines.put(line)

    def wait_for(self, line):
        while self._lines.get(timeout=SECONDS_MAX) != line:
            pass

    def type(self, *keys):
        for each in keys:
            self._keys.put(each)

    def run(self, play, *last_keys):
        """Boots it in a network of its own, and plays play(self, Wire) meanwhile. The Result."""
        failures = []

        def run():
            try:
                play(self, Wire("guest", OWN))
            except Exception as error:  # whatever it is, the test tells it
                failures.append(repr(error))
            self.type(*last_keys)
        with private_network():
            for tap in self.taps:
                add_tap(tap)
            threading.Thread(target=run, daemon=True).start()
            result = self._guest.boot(self._image, stdin=self._keys.get, on_output=self._on_output,
                                      qemu=net_arguments(self.net, self.mac, self._guest.machine))
        return result.expect_that(not failures, f"the peer is content: {failures}")


# @verifies ATL-LLR-NET-0901~1 ATL-LLR-NET-0902~1 ATL-LLR-NET-0903~1 ATL-LLR-NET-0904~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_packet_sockets_are_as_linux_has_them(guest):
    program = guest.build("packet_sockets.c")

    def play(running, wire):
        running.wait_for(b"ready")
        for frame in heard():
            wire.send(frame)
        running.type(b"go\n")
    result = Guest(guest, program, "eth0").run(play, b"")
    result.expect(status=0)
    ours, linux = (text.decode().splitlines() for text in (result.stdout, on_linux(program)))
    different = [pair for pair in zip(ours, linux) if pair[0] != pair[1]]
    result.expect_that(not different and len(ours) == len(linux), f"as Linux: {different}, {len(ours)} {len(linux)} lines")


def odd_frames(source):
    """Frames of all lengths and kinds, to be forwarded byte for byte: also those that pretend to be of a protocol that the
    machine speaks, and are none."""
    lengths = [SHORTEST, 1514, *(source.randrange(SHORTEST, 1515) for _ in range(200))]
    kinds = (PROTOCOL, 0x0800, 0x86DD, 0x0806, 0x88CC, 0, 0x05DC, 0xFFFF)
    return [(source.choice(kinds), source.randbytes(length - HEAD_BYTES)) for length in lengths]


def from_guest(wire_socket, to):
    """The next frame of the guest to a neighbour."""
    while True:
        frame, (_, _, kind, _, _) = wire_socket.recvfrom(2048)
        if kind != socket.PACKET_OUTGOING and frame[:6] == to:
            return frame


def forwarded(running, wire):
    running.wait_for(b"forwarding")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
        ear.bind(("guest", 0))
        ear.settimeout(SECONDS_MAX)
        for number, (kind, payload) in enumerate(odd_frames(random.Random(5))):
            one, other = (LEFT, RIGHT) if number % 2 == 0 else (RIGHT, LEFT)
            for stranger in (ethernet(OWN, OTHER, kind, payload), ethernet(OTHER, one, kind, payload),
                             ethernet(b"\xff" * 6, one, kind, payload)):
                wire.send(stranger)
            wire.send(ethernet(OWN, one, kind, payload))
            got = from_guest(ear, other)
            if got != ethernet(other, OWN, kind, payload):
                raise TestFailure(f"frame {number}: {got[:40].hex()} instead of one of {len(payload) + HEAD_BYTES} bytes")


# @verifies ATL-LLR-NET-0902~1 ATL-LLR-NET-0903~1
@system_test(matrix=PAIRWISE, libc=("musl",), timeout_s=60)
def test_forwarder(guest):
    program = build_program("forwarder", ROOT / "apps" / "forwarder" / "forwarder.c")
    neighbours = [f"eth0={each.hex(':')}" for each in (LEFT, RIGHT)]
    result = Guest(guest, program, *neighbours, terminal=INPUT_IS_TERMINAL).run(forwarded, CTRL_C)
    count = len(odd_frames(random.Random(5)))
    result.expect(status=0)
    result.expect_that(f"forwarded {count}, lost 0".encode() in result.stdout, f"it has forwarded {count}")


def asked_behind_spoofs(seen):
    """The peer, which has the machine answer for its address behind whatever the program has sent: seen gets all
    frames up to the answer."""
    def play(running, wire):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
            ear.bind(("guest", 0))
            ear.settimeout(SECONDS_MAX)
            running.wait_for(b"sent")
            wire.send_packet(arp(1, wire.mac, packed("10.9.0.1"), bytes(6), packed("10.9.0.2")), b"\xff" * 6)
            while not seen or seen[-1][:14] != wire.mac + OWN + b"\x08\x06":
                frame, (_, _, kind, _, _) = ear.recvfrom(2048)
                seen.extend([frame] if kind != socket.PACKET_OUTGOING else [])
        running.type(b"go\n")
    return play


# @verifies ATL-LLR-NET-0903~1
@system_test(matrix=PAIRWISE, machine=("q35",), cores=(1, 2), libc=("musl",), policed=(True, False), timeout_s=60)
def test_policy_is_for_frames_of_packet_sockets_too(guest):
    seen = []
    policy = policy_rules({"addresses": ["10.9.0.2"], "inbound": [], "outbound": []}) if guest.policed else []
    running = Guest(guest, guest.build("packet_sockets.c"), "eth0", "spoof", policy=policy)
    result = running.run(asked_behind_spoofs(seen)).expect(status=0)
    bad = [frame for frame in seen if frame[12:14] == struct.pack("!H", PROTOCOL) or frame[6:12] != OWN]
    result.expect_that(len(bad) == (0 if guest.policed else 2), f"what got out: {bad}")


# @verifies ATL-LLR-NET-0902~1
@system_test(matrix=PAIRWISE, libc=("musl",), machine=("q35",), cores=(1, 2), timeout_s=60)
def test_frames_that_nobody_reads_are_counted(guest):
    def flood(running, wire):
        running.wait_for(b"ready")
        for _ in range(FLOOD):
            while not wire.send(ethernet(OWN, LEFT, PROTOCOL, bytes(200))):
                pass
    result = Guest(guest, guest.build("packet_sockets.c"), "eth0", str(FLOOD)).run(flood, b"")
    result.expect(status=0, stdout=b"ready\n%d of %d, some dropped\n" % (FLOOD, FLOOD))
