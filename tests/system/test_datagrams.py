# SPDX-License-Identifier: Apache-2.0
"""Datagrams between this machine and sockets of UDP on all cores of a guest on a tap: those that come in pieces, from
many neighbours, to groups, to a port that the cores share."""
import select
import socket
import struct

from fault_guest import ADDRESS_4, ADDRESS_6, GUEST_MAC, OUR_4, PEER_4, PEER_6, PORT, serve
from frames import ICMP6, TYPE_ARP, UDP, Wire, arp, ip_packet, packed, udp
from lib import ONE, PAIRWISE, TestFailure, system_test
from atoll.namespace import add_tap, ip

SECONDS_MAX = 30
SHARED = PORT + 100
GROUP_4, GROUP_6 = "239.9.0.1", "ff15::9"
IGMP = 2
ALL_SYSTEMS = "224.0.0.1"
ETH_P_ALL = 3


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ask(address, port, data, from_port=0):
    """The core that answers, and it must be what was sent."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as peer:
        peer.bind(("", from_port))
        peer.settimeout(SECONDS_MAX)
        peer.sendto(data, (address, port))
        got = peer.recv(65536)
    if got[1:] != data:
        raise TestFailure(f"{address}: {len(data)} bytes to port {port} come back as {len(got) - 1} others")
    return got[0] - ord("0")


def ask_all(address, port, data, count):
    """The cores of the answers to a datagram that goes to all, and one more that shows that there are no others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        peer.settimeout(SECONDS_MAX)
        peer.sendto(data, (address, port))
        cores = sorted(peer.recv(65536)[0] - ord("0") for _ in range(count))
        peer.sendto(b"last", (ADDRESS_4, port))
        return cores if peer.recv(65536)[1:] == b"last" else None


def tap():
    add_tap("guest", PEER_4, PEER_6)


# @verifies ATL-LLR-NET-0862~1
@system_test(matrix=PAIRWISE, cores=(2, 4), libc=("musl",), timeout_s=60)
def test_pieces_find_the_core_of_their_port(guest):
    def scenario(server):
        for address in (ADDRESS_4, ADDRESS_6):
            for core in range(guest.cores):
                for size in (1, 1473, 6000, 60000):
                    if ask(address, PORT + core, bytes(i * 7 % 251 for i in range(size))) != core:
                        raise TestFailure(f"{address}: {size} bytes reach another core than {core}")

    serve(guest, scenario, tap, program="datagrams.c")


class Frames:
    """What the guest sends on the tap, from now on."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.bind(("guest", 0))

    def until(self, is_wanted):
        """Waits for a frame of the guest's; the frame."""
        while select.select([self._socket], [], [], SECONDS_MAX)[0]:
            frame = self._socket.recv(65536)
            if frame[6:12] == GUEST_MAC and is_wanted(frame):
                return frame
        raise TestFailure("a frame does not come")


# @verifies ATL-LLR-NET-0861~1
@system_test(matrix=ONE, cores=(2,), libc=("musl",), timeout_s=60)
def test_a_hundred_neighbours_are_known(guest):
    """Each is asked for once, by either protocol, though all speak twice."""
    neighbours = [(packed(f"10.9.0.{i}"), packed(f"fd09::1:{i:x}")) for i in range(100, 200)]

    def scenario(server):
        wire, frames = Wire("guest", GUEST_MAC), Frames()
        asked = []

        def solicitation(frame):
            """Whom the guest asks for; None: it does not."""
            if frame[12:14] == struct.pack("!H", TYPE_ARP) and frame[21] == 1:
                return frame[38:42]
            return frame[62:78] if frame[12:14] == b"\x86\xdd" and frame[20] == ICMP6 and frame[54] == 135 else None

        def introduce(address):
            if len(address) == 4:
                wire.send_packet(arp(2, wire.mac, address, GUEST_MAC, packed(ADDRESS_4)))
            else:
                text = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + address + b"\x02\x01" + wire.mac
                wire.send_packet(ip_packet(address, packed(ADDRESS_6), ICMP6, text, hops=255))

        def is_answer(frame, address):
            sought = solicitation(frame)
            if sought is not None and any(sought in pair for pair in neighbours):
                asked.append(sought)
                introduce(sought)
            return address in frame[26:54] and (frame[23:24] == bytes([UDP]) or frame[20:21] == bytes([UDP]))

        for _ in range(2):
            for four, six in neighbours:
                for address, to in ((four, ADDRESS_4), (six, ADDRESS_6)):
                    wire.send_packet(ip_packet(address, packed(to), UDP, udp(999, PORT, b"hello")))
                    frames.until(lambda frame, address=address: is_answer(frame, address))
        if len(asked) != len(set(asked)) or len(asked) != 2 * len(neighbours):
            raise TestFailure(f"{2 * len(neighbours)} neighbours are asked for {len(asked)} times")

    serve(guest, scenario, lambda: add_tap("guest"), program="datagrams.c")


def is_report(frame, group):
    """IGMP version 2, or MLD version 1 behind the options for routers."""
    if len(group) == 4:
        return frame[23] == IGMP and frame[38] == 0x16 and frame[42:46] == group
    return frame[12:14] == b"\x86\xdd" and frame[20] == 0 and frame[62] == 131 and frame[70:86] == group


def is_goodbye(frame, group):
    if len(group) == 4:
        return frame[23] == IGMP and frame[38] == 0x17 and frame[42:46] == group
    return frame[12:14] == b"\x86\xdd" and frame[20] == 0 and frame[62] == 132 and frame[70:86] == group


def query_4():
    """Which groups are there? In a second at most."""
    from bridge import internet_checksum
    text = struct.pack("!BBHI", 0x11, 10, 0, 0)
    text = text[:2] + struct.pack("!H", internet_checksum(text)) + text[4:]
    return ip_packet(packed(OUR_4), packed(ALL_SYSTEMS), IGMP, text, hops=1)


def query_6(wire):
    """The same, behind the options for routers; from an address of the link."""
    from frames import _with_checksum, TYPE_IP6
    source, to = packed("fe80::1"), packed("ff02::1")
    text = struct.pack("!BBHHH", 130, 0, 0, 1000, 0) + bytes(16)
    text = _with_checksum(source + to + struct.pack("!II", len(text), ICMP6), text, 2)
    options = bytes([ICMP6, 0, 5, 2, 0, 0, 1, 0])
    head = struct.pack("!IHBB", 6 << 28, len(options) + len(text), 0, 1)
    return TYPE_IP6, head + source + to + options + text


def ask_group(group, port):
    """Which cores answer a datagram to a group."""
    interface = socket.if_nametoindex("guest")
    with socket.socket(family_of(group), socket.SOCK_DGRAM) as peer:
        if ":" in group:
            peer.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
        else:
            peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, packed(OUR_4))
        peer.settimeout(SECONDS_MAX)
        peer.sendto(b"all of you", (group, port))
        got = peer.recv(65536)
    if got[1:] != b"all of you":
        raise TestFailure(f"{group}: {got}")
    return got[0] - ord("0")


# @verifies ATL-LLR-NET-0863~1
@system_test(matrix=PAIRWISE, cores=(2, 1), libc=("musl",), timeout_s=60)
def test_groups_are_joined_and_left(guest):
    def scenario(server):
        frames, wire = Frames(), Wire("guest", GUEST_MAC)
        for group in (GROUP_4, GROUP_6):
            for core in range(guest.cores):
                if ask_group(group, PORT + core) != core:
                    raise TestFailure(f"{group}: not core {core} answers")
        for group, query, to in ((GROUP_4, query_4(), b"\x01\0\x5e\0\0\x01"),
                                 (GROUP_6, query_6(wire), b"\x33\x33\0\0\0\x01")):
            wire.send_packet(query, to)
            frames.until(lambda frame, group=group: is_report(frame, packed(group)))
        if server.ask("leave") != "left":
            raise TestFailure("the guest does not leave")
        for group in (GROUP_4, GROUP_6):
            frames.until(lambda frame, group=group: is_goodbye(frame, packed(group)))

    serve(guest, scenario, tap, program="datagrams.c", arguments=(str(PORT), GROUP_4, GROUP_6))


# @verifies ATL-LLR-NET-0864~1 ATL-LLR-NET-0942~1
@system_test(matrix=PAIRWISE, cores=(2, 4), libc=("musl",), timeout_s=60)
def test_a_port_is_shared_by_cores(guest):
    def scenario(server):
        for address in (ADDRESS_4, ADDRESS_6):
            cores = [ask(address, SHARED, b"whose", port) for port in range(40000, 40064)]
            again = [ask(address, SHARED, b"whose" * 200, port) for port in range(40000, 40064, 8)]
            if set(cores) != set(range(guest.cores)):
                raise TestFailure(f"{address}: cores {set(cores)} have all peers")
            if again != cores[::8]:
                raise TestFailure(f"{address}: a peer is another core's when it asks again")
        if ask_all("10.9.0.255", SHARED, b"who", guest.cores) != list(range(guest.cores)):
            raise TestFailure("a datagram to all is not each core's once")

    serve(guest, scenario, tap, program="datagrams.c")


ROUTER, PREFIX, BEYOND = "fe80::1", "fd0a::", "fd0b::1"
FORMED = "fd0a::5054:ff:fe12:3456"  # of the prefix and the guest's MAC


def advertisement(wire):
    """RFC 4861: a router for half an hour, with a prefix for an hour, of which hosts form addresses."""
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + packed(PREFIX)
    text = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + b"\1\1" + wire.mac + prefix
    return ip_packet(packed(ROUTER), packed("ff02::1"), ICMP6, text, hops=255)


def ask_from(address, to, port):
    """Whether somebody answers."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.bind((address, 0))
        peer.settimeout(1)
        try:
            peer.sendto(b"are you there?", (to, port))
            return peer.recv(65536)[1:] == b"are you there?"
        except OSError:
            return False


# @verifies ATL-LLR-NET-0865~1
@system_test(matrix=PAIRWISE, cores=(2, 1), libc=("musl",), timeout_s=60)
def test_a_router_tells_the_prefix(guest):
    """The guest forms an address, and reaches by the router who is not on the link. Until it has looked whether
    somebody else has the address, nobody answers."""
    def prepare():
        add_tap("guest", PEER_4, f"{ROUTER}/64", f"{PREFIX}1/64")
        ip("addr", "add", f"{BEYOND}/128", "dev", "lo")

    def scenario(server):
        wire = Wire("guest", GUEST_MAC)
        wire.send_packet(advertisement(wire), b"\x33\x33\0\0\0\1")
        for core in range(guest.cores):
            for source in (f"{PREFIX}1", BEYOND):
                if not any(ask_from(source, FORMED, PORT + core) for _ in range(SECONDS_MAX)):
                    raise TestFailure(f"core {core} does not answer {source}")

    serve(guest, scenario, prepare, program="datagrams.c", ip=("10.9.0.2/24",))
