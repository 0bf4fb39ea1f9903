# SPDX-License-Identifier: Apache-2.0
"""The network policy: a program that has the port for itself, as one that has taken over its library OS would,
sends and gets only what its image allows; a web server serves behind one."""
import ipaddress
import os
import random
import struct
import tempfile

from atoll.policy import policy_rules
from lib import FULL, PAIRWISE, system_test
from test_network import Threads, serve_web
from test_port import MAC, Peer, program

OWN, OTHER, PEER, FAR = "10.0.2.15", "10.0.2.16", "192.168.1.9", "172.16.0.1"
OWN6, PEER6, ROUTER, LINK_LOCAL = "fd00::2", "fd01::9", "fe80::1", "fe80::5054:ff:fe00:7"
POLICY = {"addresses": [OWN, OWN6], "inbound": ["tcp/80 from 192.168.0.0/16", "tcp/80 from fd01::/16",
                                               "icmp from fd00::/8"],
          "outbound": [f"udp/53 to {PEER}"]}
OWN_MAC, OTHER_MAC = bytes.fromhex(MAC.replace(":", "")), bytes.fromhex("525400000008")
SYN, ACK = 2, 16


def address(text):
    return ipaddress.ip_address(text).packed


def ethernet(kind, content, source=OWN_MAC):
    return OTHER_MAC + source + struct.pack(">H", kind) + content


def ipv4(source, destination, protocol, content, first=0x45, fragment=0, options=b""):
    header = struct.pack(">BBHHHBBH4s4s", first, 0, 20 + len(options) + len(content), 0, fragment, 64, protocol, 0,
                         address(source), address(destination))
    return header + options + content


def ipv6(source, destination, protocol, content, hops=64):
    return struct.pack(">IHBB16s16s", 6 << 28, len(content), protocol, hops, address(source),
                       address(destination)) + content


def tcp(source, destination, flags, bytes_count=0):
    return struct.pack(">HHIIBBHHH", source, destination, 1, 2, 5 << 4, flags, 1000, 0, 0) + b"x" * bytes_count


def udp(source, destination):
    return struct.pack(">HHHH", source, destination, 40, 0) + b"y" * 32


def arp(mac, sender):
    return struct.pack(">HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mac, address(sender), OTHER_MAC, address(PEER)) + bytes(18)


def discovery(kind, target):
    return struct.pack(">BBHI16s", kind, 0, 0, 0, address(target))


def going_out():
    """(frame, whether it may go)"""
    reply, datagram = tcp(80, 5000, ACK, 900), udp(5000, 53)
    yield ethernet(0x800, ipv4(OWN, PEER, 6, reply)), True
    yield ethernet(0x800, ipv4(OWN, PEER, 6, tcp(80, 5000, SYN | ACK))), True
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 6, reply)), True
    yield ethernet(0x800, ipv4(OWN, PEER, 17, datagram)), True
    yield ethernet(0x806, arp(OWN_MAC, OWN)), True
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, discovery(136, OWN6), 255)), True
    yield ethernet(0x800, ipv4(OWN, PEER, 6, reply), OTHER_MAC), False
    yield ethernet(0x800, ipv4(OTHER, PEER, 6, reply)), False
    yield ethernet(0x86dd, ipv6(PEER6, PEER6, 6, reply)), False
    yield ethernet(0x806, arp(OWN_MAC, OTHER)), False
    yield ethernet(0x806, arp(OTHER_MAC, OWN)), False
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, discovery(136, PEER6), 255)), False
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, discovery(136, ROUTER), 255)), False
    yield ethernet(0x86dd, ipv6(ROUTER, PEER6, 58, discovery(135, PEER6), 255)), False
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, discovery(134, PEER6), 255)), False
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, discovery(137, ROUTER), 255)), False
    yield ethernet(0x86dd, ipv6(LINK_LOCAL, PEER6, 58, discovery(135, PEER6), 255)), True
    yield ethernet(0x86dd, ipv6("::", PEER6, 58, discovery(135, OWN6), 255)), True
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, b"\x81" + bytes(39))), True
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 58, b"\x80" + bytes(39))), False
    yield ethernet(0x800, ipv4(OWN, PEER, 6, tcp(80, 5000, SYN))), False
    yield ethernet(0x800, ipv4(OWN, PEER, 6, tcp(81, 5000, ACK))), False
    yield ethernet(0x800, ipv4(OWN, FAR, 6, reply)), False
    yield ethernet(0x800, ipv4(OWN, FAR, 17, datagram)), False
    yield ethernet(0x800, ipv4(OWN, PEER, 17, udp(5000, 54))), False
    yield ethernet(0x800, ipv4(OWN, PEER, 1, bytes(40))), False
    yield ethernet(0x800, ipv4(OWN, PEER, 6, reply, fragment=0x2000)), False
    yield ethernet(0x800, ipv4(OWN, PEER, 6, reply, fragment=100)), False
    yield ethernet(0x800, ipv4(OWN, PEER, 6, reply, first=0x46, options=bytes(4))), False
    yield ethernet(0x86dd, ipv6(OWN6, PEER6, 44, bytes(8) + reply)), False
    yield ethernet(0x8100, b"\0\1\x08\0" + ipv4(OWN, PEER, 6, reply)), False
    yield ethernet(0x88b5, bytes(60)), False


def coming_in():
    yield ethernet(0x800, ipv4(PEER, OWN, 6, tcp(5000, 80, SYN, 7))), True
    yield ethernet(0x86dd, ipv6(PEER6, OWN6, 6, tcp(5000, 80, SYN, 7))), True
    yield ethernet(0x800, ipv4(PEER, OWN, 17, udp(53, 5000))), True
    yield ethernet(0x806, arp(OTHER_MAC, PEER)), True
    yield ethernet(0x800, ipv4(PEER, OWN, 6, tcp(5000, 81, SYN, 7))), False
    yield ethernet(0x800, ipv4(FAR, OWN, 6, tcp(5000, 80, SYN, 7))), False
    yield ethernet(0x800, ipv4(FAR, OWN, 17, udp(53, 5000))), False
    yield ethernet(0x800, ipv4(PEER, OWN, 6, tcp(5000, 80, SYN, 7), fragment=0x2000)), False
    yield ethernet(0x88b5, bytes(60)), False


def pack(guest, *arguments, policy, **settings):
    return guest.pack(program(guest), *arguments, net="user", posix=guest.parts(net="unix")[1],
                      policy=policy_rules(policy) if policy else [], **settings)


# @verifies ATL-LLR-POLICY-0008~1 ATL-LLR-POLICY-0001~1 ATL-HLR-POLICY-0001~2 @robust
@system_test(matrix=FULL, libc=("musl",), cores=(1, 2), rules=("policy", "none"), timeout_s=60)
def test_hostile_program_sends_only_what_the_policy_allows(guest):
    rows = list(going_out()) * 8
    random.Random(3).shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "frames")
        with open(path, "wb") as file:
            file.write(b"".join(struct.pack(">H", len(frame)) + frame for frame, _ in rows))
        peer, received, threads = Peer(folder), [], Threads()

        def receive():
            while frame := peer.socket.recv(65536):
                received.append(frame)

        threads.start(receive)
        image = pack(guest, "send", "/frames", files=[(path, "/frames")],
                     policy=POLICY if guest.rules == "policy" else None)
        result = guest.boot(image, qemu=peer.qemu(guest.machine))
        peer.send_to_self(b"")
        threads.join()
        peer.socket.close()
    result.expect(status=0, stdout=b"sent %d\n" % len(rows))
    if guest.rules == "none":
        result.expect_that(len(received) == len(rows), f"without a policy all go: {len(received)} of {len(rows)}")
    else:
        wanted = [frame for frame, may_go in rows if may_go]
        result.expect_that(received == wanted, f"{len(received)} frames came, {len(wanted)} may: "
                           + "; ".join(f.hex() for f in received if f not in wanted)[:500])


# @verifies ATL-LLR-POLICY-0009~2 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), rules=("policy", "none"), timeout_s=60)
def test_only_what_the_policy_allows_comes_in(guest):
    rows = list(coming_in())
    wanted = [n for n, (_, may_come) in enumerate(rows) if may_come or guest.rules == "none"]
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(folder)

        def ready(data):
            if b"ready" in data:
                for number, (frame, _) in enumerate([*rows, (rows[0][0], True)]):
                    peer.send(frame[:-1] + bytes([number if number < len(rows) else 255]))

        image = pack(guest, "listen", policy=POLICY if guest.rules == "policy" else None)
        result = guest.boot(image, qemu=peer.qemu(guest.machine), on_output=ready)
        peer.socket.close()
    result.expect(status=0, stdout=b"ready\n" + b"".join(b"%d\n" % n for n in [*wanted, 255]))


# @verifies ATL-HLR-POLICY-0001~2 ATL-LLR-POLICY-0006~1
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_web_server_serves_behind_a_policy(guest):
    serve_web(guest, policy=policy_rules({"addresses": [OWN], "dhcp": True, "inbound": ["tcp/80"]}))
