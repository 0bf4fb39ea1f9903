# SPDX-License-Identifier: Apache-2.0
"""Frames for tests that speak to a guest without this machine's stack: what is right, what a seeded generator makes
of it, and a socket that sends them."""
import ipaddress
import pathlib
import random
import socket
import struct

from bridge import internet_checksum

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
TYPE_IP4, TYPE_ARP, TYPE_IP6 = 0x0800, 0x0806, 0x86DD
SYN, RST, ACK, FIN, PSH = 2, 4, 16, 1, 8
BROADCAST = b"\xff" * 6


def packed(address):
    return ipaddress.ip_address(address).packed


def ethernet(to, source, kind, payload):
    return to + source + struct.pack("!H", kind) + payload


def _with_checksum(pseudo, payload, at):
    value = internet_checksum(pseudo + payload)
    return payload[:at] + struct.pack("!H", value or 0xFFFF) + payload[at + 2:]


def ip_packet(source, to, protocol, payload, fragment=0, identification=0, hops=64):
    """Of the family of the addresses (packed); completes the checksum of what is inside."""
    place = {TCP: 16, UDP: 6, ICMP: 2, ICMP6: 2}.get(protocol)
    if place is not None and not fragment:
        pseudo = b"" if protocol == ICMP else source + to + struct.pack("!II", len(payload), protocol)
        payload = _with_checksum(pseudo, payload, place)
    if len(source) == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, hops, protocol, 0)
        head = head[:10] + struct.pack("!H", internet_checksum(head + source + to)) + source + to
        return TYPE_IP4, head + payload
    return TYPE_IP6, struct.pack("!IHBB", 6 << 28, len(payload), protocol, hops) + source + to + payload


def tcp(source_port, port, flags, sequence=0, acknowledged=0, data=b"", options=b""):
    return struct.pack("!HHIIBBHHH", source_port, port, sequence, acknowledged, (5 + len(options) // 4) << 4, flags, 65535,
                       0, 0) + options + data


def udp(source_port, port, data):
    return struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data


def arp(operation, mac, address, of_mac, of):
    return TYPE_ARP, struct.pack("!HHBBH", 1, TYPE_IP4, 6, 4, operation) + mac + address + of_mac + of


class Wire:
    """Sends frames to the guest by this machine's end of its tap."""

    def __init__(self, name, guest_mac):
        self.mac = bytes.fromhex(_address_of(name).replace(":", ""))
        self.guest_mac = guest_mac
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.bind((name, 0))

    def send(self, frame):
        """False: the tap's queue is full, and the frame is lost."""
        try:
            self._socket.send(frame)
            return True
        except OSError:
            return False

    def send_packet(self, kind_and_packet, to=None):
        return self.send(ethernet(to or self.guest_mac, self.mac, *kind_and_packet))

    def announce(self, address_4, address_6):
        """Says again where this machine is, whatever else was said."""
        mine = packed(address_4)
        self.send_packet(arp(1, self.mac, mine, bytes(6), mine), BROADCAST)
        six, everyone = packed(address_6), packed("ff02::1")
        advertisement = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + six + b"\x02\x01" + self.mac
        self.send_packet(ip_packet(six, everyone, ICMP6, advertisement, hops=255), b"\x33\x33\0\0\0\1")


def _address_of(name):
    import subprocess
    done = subprocess.run(["ip", "-o", "link", "show", name], capture_output=True, text=True, check=True)
    return done.stdout.split("link/ether ")[1].split()[0]


class Mutator:
    """Frames that are nearly right, and some that are nothing."""

    def __init__(self, seed, wire, ends, port):
        self._random, self._wire, self._port = random.Random(seed), wire, port
        self._ends = [tuple(packed(a) for a in pair) for pair in ends]  # (ours, the guest's)

    def _payload(self):
        """(protocol, payload, hops)"""
        draw = self._random
        data = draw.randbytes(draw.choice((0, 1, 8, 40, 600, 1400)))
        port = draw.choice((self._port, self._port, draw.randrange(65536)))
        source = draw.randrange(1024, 65536)
        options = draw.randbytes(4 * draw.randrange(11))
        return draw.choice((
            (TCP, tcp(source, port, draw.choice((SYN, ACK, RST, SYN | ACK, FIN | ACK, PSH | ACK, draw.randrange(256))),
                      draw.getrandbits(32), draw.getrandbits(32), data[:1000], options), 64),
            (UDP, udp(source, port, data), 64),
            (ICMP, bytes([draw.choice((0, 3, 5, 8, 11, draw.randrange(256))), draw.randrange(16), 0, 0]) + data + bytes(4), 64),
            (ICMP6, bytes([draw.choice((1, 2, 3, 4, 128, 129, 133, 135, 136, 137)), draw.randrange(8), 0, 0]) + bytes(4)
             + data, draw.choice((255, 64))),
            (draw.choice((0, 43, 44, 50, 60, draw.randrange(256))), data, 64)))

    def frame(self):
        """The next one."""
        draw = self._random
        if draw.random() < 0.05:
            return draw.randbytes(draw.choice((14, 15, 33, 60, 1514)))
        source, to = draw.choice(self._ends)
        protocol, payload, hops = self._payload()
        fragment = draw.choice((0, 0, 0, 0x2000, 0x4000, draw.getrandbits(16)))
        kind, packet = ip_packet(source, to, protocol, payload, fragment, draw.getrandbits(3), hops)
        if draw.random() < 0.1:
            kind, packet = arp(draw.choice((1, 2, draw.getrandbits(16))), self._wire.mac, packed("10.9.0.77"),
                               bytes(6), draw.choice((self._ends[0][1], draw.randbytes(4))))
        frame = bytearray(ethernet(self._wire.guest_mac, self._wire.mac, kind, packet))
        for _ in range(draw.choice((0, 0, 1, 1, 2, 8))):
            frame[draw.randrange(14, len(frame))] = draw.randrange(256)
        return bytes(frame[:draw.randrange(14, len(frame) + 1)] if draw.random() < 0.1 else frame)
