# SPDX-License-Identifier: Apache-2.0
"""Packets as no stack sends them, made by Scapy: `malformed.py INTERFACE GUEST_MAC ADDRESS_4 ADDRESS_6 PEER_4 PEER_6 PORT
SEED COUNT [pieces]`. First one of each known trick, then COUNT with fields at random; pieces: also packets of which
a piece never comes, for which a stack waits. Says how many were sent."""
import random
import sys

from scapy.config import conf
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_Redirect, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw, fuzz


class Sender:
    def __init__(self, interface, mac):
        self._socket, self._mac, self.count = conf.L2socket(iface=interface), mac, 0

    def send(self, packet):
        try:
            self._socket.send(Ether(dst=self._mac) / packet)
            self.count += 1
        except (OSError, ValueError):
            pass  # longer than the interface takes, or a field that Scapy itself cannot write


def tricks(four, six, port):
    """One of each."""
    v4, v6 = four.dst, six.dst
    yield IP(src=v4, dst=v4) / TCP(sport=port, dport=port, flags="S")         # "land"
    yield IP(src="127.0.0.1", dst=v4) / UDP(sport=port, dport=port) / b"loop"
    yield IP(src="255.255.255.255", dst=v4) / ICMP()
    yield IP(src="224.0.0.1", dst=v4) / TCP(dport=port, flags="S")
    yield four / TCP(dport=port, flags="")
    yield four / TCP(dport=port, flags="FSRPAUEC")
    yield four / TCP(dport=port, flags="S", dataofs=15)                       # options that are not there
    yield four / TCP(dport=port, flags="S", dataofs=1)
    for options in (b"\2\0", b"\2\1", b"\2\xff\0\0", b"\3\3\xff\0", b"\5\x0a\0\0", b"\x08\x0a\0", b"\1" * 40):
        yield four / TCP(dport=port, flags="S", options=[]) / Raw(options)
    yield four / UDP(dport=port, len=3)
    yield four / UDP(dport=port, len=60000) / b"short"
    yield four / UDP(sport=0, dport=port) / b"nobody"
    yield IP(src=four.src, dst=v4, ihl=15) / UDP(dport=port)
    yield IP(src=four.src, dst=v4, ihl=1) / UDP(dport=port)
    yield IP(src=four.src, dst=v4, len=10) / UDP(dport=port) / b"less"
    yield IP(src=four.src, dst=v4, len=65535) / UDP(dport=port) / b"more"
    yield IP(src=four.src, dst=v4, version=7) / UDP(dport=port)
    yield IP(src=four.src, dst=v4, ttl=0) / UDP(dport=port)
    yield IP(src=four.src, dst=v4, options=[IPOption(b"\x83\x07\x04\x0a\x09\0\x01")]) / UDP(dport=port)
    yield four / ICMP(type=5, code=1, gw="10.9.0.66") / Raw(bytes(IP(src=v4, dst="10.9.0.1") / UDP()))
    yield four / ICMP(type=3, code=4, nexthopmtu=8) / Raw(bytes(IP(src=v4, dst=four.src) / TCP(sport=port)))
    yield four / ICMP(type=3, code=3) / Raw(b"E")
    yield ARP(op=2, psrc=v4, hwsrc="02:00:00:00:00:66", pdst=v4)              # somebody has our address
    yield ARP(op=1, hwlen=200, psrc="10.9.0.77", pdst=v4)
    yield Dot1Q(vlan=7) / four / UDP(dport=port) / b"tagged"
    yield six / IPv6ExtHdrRouting(type=0, addresses=[v6] * 5) / ICMPv6EchoRequest()
    yield six / IPv6ExtHdrHopByHop() / IPv6ExtHdrHopByHop() / ICMPv6EchoRequest()
    yield six / IPv6ExtHdrDestOpt(options=[]) / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / UDP(dport=port) / b"far"
    yield six / IPv6ExtHdrHopByHop(len=200) / ICMPv6EchoRequest()
    yield IPv6(src=v6, dst=v6) / TCP(sport=port, dport=port, flags="S")
    yield IPv6(src="::1", dst=v6) / UDP(dport=port) / b"loop"
    yield IPv6(src="ff02::1", dst=v6) / UDP(dport=port) / b"group"
    yield IPv6(src=six.src, dst=v6, plen=3) / UDP(dport=port) / b"less"
    yield IPv6(src=six.src, dst=v6, hlim=255) / ICMPv6ND_NS(tgt=v6) / Raw(b"\1\0")  # an option of no length
    yield IPv6(src=six.src, dst=v6, hlim=255) / ICMPv6ND_NA(tgt=v6, O=1) / Raw(b"\2\1\2\0\0\0\0\x66")
    yield IPv6(src=six.src, dst=v6, hlim=255) / ICMPv6ND_Redirect(tgt=v6, dst=v6)


def pieces(four, six, port):
    """Pieces that overlap, that end behind the largest packet, that lack the others."""
    data = bytes(1000)
    yield IP(src=four.src, dst=four.dst, id=1, flags="MF") / UDP(dport=port, len=3000) / data
    yield IP(src=four.src, dst=four.dst, id=1, frag=3, proto=17) / Raw(data)                  # "teardrop"
    yield IP(src=four.src, dst=four.dst, id=2, frag=8189, proto=1) / Raw(data)                # "ping of death"
    yield six / IPv6ExtHdrFragment(id=3, offset=0, m=1, nh=17) / Raw(bytes(UDP(dport=port, len=3000)) + bytes(992))
    yield six / IPv6ExtHdrFragment(id=3, offset=8189, m=0, nh=17) / Raw(data)


def random_packets(four, six, port, count):
    kinds = (lambda: four / fuzz(TCP(dport=port)), lambda: four / fuzz(UDP(dport=port)), lambda: four / fuzz(ICMP()),
             lambda: six / fuzz(TCP(dport=port)), lambda: six / fuzz(UDP(dport=port)), lambda: fuzz(ARP(pdst=four.dst)),
             lambda: IPv6(src=six.src, dst=six.dst, hlim=255) / fuzz(ICMPv6ND_NS(tgt=six.dst)),
             lambda: IP(src=four.src, dst=four.dst, tos=random.randrange(256), id=random.randrange(65536),
                        ttl=random.randrange(256), proto=random.randrange(256)) / Raw(random.randbytes(random.randrange(1400))))
    for _ in range(count):
        yield random.choice(kinds)()


def main(interface, mac, to_4, to_6, from_4, from_6, port, seed, count, *more):
    random.seed(int(seed))
    conf.verb = 0
    four, six, port = IP(src=from_4, dst=to_4), IPv6(src=from_6, dst=to_6), int(port)
    sender = Sender(interface, mac)
    for packet in tricks(four, six, port):
        sender.send(packet)
    if more == ("pieces",):
        for packet in pieces(four, six, port):
            sender.send(packet)
    for packet in random_packets(four, six, port, int(count)):
        sender.send(packet)
    print(sender.count)


if __name__ == "__main__":
    main(*sys.argv[1:])
