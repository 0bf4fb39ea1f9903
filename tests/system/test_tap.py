# SPDX-License-Identifier: Apache-2.0
"""A guest on a tap: TCP and UDP of IPv4 and IPv6 with this machine's own stack, at addresses of its image."""
import pathlib
import socket
import struct
import tempfile
import threading

from atoll.namespace import add_tap
from bridge import internet_checksum
from fault_guest import ADDRESS_4, ADDRESS_6, PEER_4, PEER_6, PORT, receive, serve
from lib import EACH, PAIRWISE, TestFailure, system_test

EXCHANGES = 2500
ETHERNET_FRAME = 1514  # bytes
CONNECTIONS = 32
PCAP_HEADER, RECORD = 24, struct.Struct("<IIII")
FLOWS, FLOW_EXCHANGES, FLOW_BYTES = 100, 8, 100  # of each kind: connections of so many exchanges


def datagrams(address):
    """Sizes up to one that takes several fragments."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(20)
        for size in (0, 1, 1400, 1472, 1473, 6000):
            data = bytes(i * 7 % 251 for i in range(size))
            peer.sendto(data, (address, PORT))
            if peer.recv(65536) != data:
                raise TestFailure(f"{address}: a datagram of {size} bytes does not come back")


# @verifies ATL-LLR-POSIX-0970~1 ATL-LLR-POSIX-0971~1 ATL-LLR-TOOL-0950~1 ATL-LLR-POSIX-0911~1
@system_test(matrix=PAIRWISE, timeout_s=120)
def test_both_protocols_of_both_families(guest):
    def scenario(server):
        for address in (ADDRESS_4, ADDRESS_6):
            if not server.echoes(address, bytes(i % 251 for i in range(200000))):
                raise TestFailure(f"{address} does not echo")
            datagrams(address)

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6))


SOL_PACKET, PACKET_AUXDATA, TP_STATUS_CSUMNOTREADY = 263, 8, 8  # <linux/if_packet.h>


def tcp_frames(capture):
    """(type of the frame's protocol, whether it is this machine's, whether its checksum was left to be completed) of
    what a packet socket has got."""
    capture.setblocking(False)
    while True:
        try:
            frame, control, _, origin = capture.recvmsg(2048, 256)
        except BlockingIOError:
            return
        kind = struct.unpack_from("!H", frame, 12)[0]
        if frame[{0x0800: 23, 0x86dd: 20}.get(kind, 0)] == socket.IPPROTO_TCP and kind in (0x0800, 0x86dd):
            status, = struct.unpack_from("I", next(data for level, *_, data in control if level == SOL_PACKET))
            yield kind, origin[2] == socket.PACKET_OUTGOING, bool(status & TP_STATUS_CSUMNOTREADY)


# @verifies ATL-LLR-NET-0931~1
@system_test(matrix=EACH, libc=("musl",), timeout_s=60)
def test_checksums_are_left_to_the_device(guest):
    """Of each segment of the guest, and of ours but for those that Linux sums up itself, as its last words to a
    connection that is gone."""
    def scenario(server):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as capture:
            capture.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            capture.bind(("guest", 3))
            server.expect_service()
            frames = list(tcp_frames(capture))
        for kind in (0x0800, 0x86dd):
            for is_ours in (False, True):
                left = [is_left for a, b, is_left in frames if (a, b) == (kind, is_ours)]
                if not (any if is_ours else all)(left or [False]):
                    raise TestFailure(f"type {kind:#x}, ours {is_ours}: of {len(left)} sums {sum(left)} are left")

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6))


def frame_sizes(capture):
    """{(type of the frame's protocol, whether it is this machine's): bytes of the largest frame of TCP}"""
    capture.setblocking(False)
    sizes = {}
    while True:
        try:
            frame, origin = capture.recvfrom(1 << 17)
        except BlockingIOError:
            return sizes
        kind = struct.unpack_from("!H", frame, 12)[0]
        if frame[{0x0800: 23, 0x86dd: 20}.get(kind, 0)] == socket.IPPROTO_TCP:
            key = kind, origin[2] == socket.PACKET_OUTGOING
            sizes[key] = max(sizes.get(key, 0), len(frame))


# @verifies ATL-LLR-NET-1150~1 ATL-LLR-NET-1151~1 ATL-LLR-VIRTIO-1150~1
@system_test(matrix=EACH, libc=("musl",), timeout_s=60)
def test_segments_are_cut_and_joined_by_the_device(guest):
    """Both machines hand it more than an MTU at once, and what they say is the same."""
    def scenario(server):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as capture:
            capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            capture.bind(("guest", 3))
            for address in (ADDRESS_4, ADDRESS_6):
                if not server.echoes(address, bytes(i * 7 % 251 for i in range(400000))):
                    raise TestFailure(f"{address} does not echo")
            sizes = frame_sizes(capture)
        if len(sizes) != 4 or min(sizes.values()) < 3 * ETHERNET_FRAME:
            raise TestFailure(f"the largest frames: {sizes}")

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6))


# @verifies ATL-LLR-NET-1151~1
@system_test(matrix=PAIRWISE, cores=(2, 4), libc=("musl",), timeout_s=60)
def test_joined_segments_find_their_core(guest):
    """All cores listen on one port: by the one queue come frames for all, or by each what is its core's."""
    queues = guest.cores if guest.machine == "q35" else 1

    def scenario(server):
        data = bytes(i * 7 % 251 for i in range(100000))
        for _ in range(4 * guest.cores):
            with server.connect() as peer:
                sender = threading.Thread(target=peer.sendall, args=(data,))
                sender.start()
                got = receive(peer, len(data))
                sender.join()
            if got != data:
                raise TestFailure(f"{len(got)} bytes come back, or others")

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6, several=queues > 1),
          setting=f"tap=guest,queues={queues}", program="flows.c")


def exchange(server, address):
    with server.connect(address) as peer:
        for number in range(EXCHANGES):
            data = b"%08d" % number
            peer.sendall(data)
            got = receive(peer, len(data))
            if got != data:
                raise TestFailure(f"{address}: {got} instead of {data}")


# @verifies ATL-LLR-NET-0831~1
@system_test(matrix=PAIRWISE, cores=(2, 4), libc=("musl",), timeout_s=30)
def test_each_frame_wakes_its_core(guest):
    """One that slept on would be found by a timer of the stack, half a second later; the exchanges, one behind the
    other, would not end in time."""
    def scenario(server):
        for address in (ADDRESS_4, ADDRESS_6):
            exchange(server, address)

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6))


# @verifies ATL-LLR-VIRTIO-0830~1 ATL-LLR-POSIX-0910~1 ATL-LLR-POSIX-0911~1
@system_test(matrix=PAIRWISE, machine=("q35",), cores=(2, 4), timeout_s=120)
def test_connections_come_by_the_pairs_of_all_cores(guest):
    def scenario(server):
        peers = [server.connect() for _ in range(CONNECTIONS)]
        for number, peer in enumerate(peers):
            data = bytes((i + number) % 251 for i in range(20000))
            peer.sendall(data)
            got = receive(peer, len(data))
            if got != data:
                raise TestFailure(f"connection {number} does not echo")
        for peer in peers:
            peer.close()
        datagrams(ADDRESS_4)
        datagrams(ADDRESS_6)

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6, several=True),
          setting=f"tap=guest,queues={guest.cores}")


def captured(path):
    """The frames of a file of tcpdump's."""
    data, at, frames = path.read_bytes(), PCAP_HEADER, []
    while at + RECORD.size <= len(data):
        bytes_there = RECORD.unpack_from(data, at)[2]
        frames.append(data[at + RECORD.size:at + RECORD.size + bytes_there])
        at += RECORD.size + bytes_there
    return frames


# @verifies ATL-LLR-TOOL-0954~1
@system_test(matrix=PAIRWISE, cores=(2,), libc=("musl",), timeout_s=60)
def test_captured_frames_are_those_of_the_wire(guest):
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as folder:
        path = pathlib.Path(folder) / "frames.pcap"

        def scenario(server):
            if not server.echoes(ADDRESS_4, b"a line of its own"):
                raise TestFailure("it does not echo")

        serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6), capture=path)
        frames = captured(path)
        strange = [frame[:20].hex() for frame in frames if frame[12:14] not in (b"\x08\0", b"\x08\x06", b"\x86\xdd")]
        if strange:
            raise TestFailure(f"no frames of Ethernet: {strange[:3]}")
        lines = [frame for frame in frames if b"a line of its own" in frame]
        if len(lines) < 2:
            raise TestFailure(f"of {len(frames)} frames {len(lines)} have the line that went there and back")
        for frame in lines:  # what is in the file must be right, not to be completed by a device
            segment = frame[34:34 + int.from_bytes(frame[16:18], "big") - 20]
            if internet_checksum(frame[26:34] + struct.pack("!HH", 6, len(segment)) + segment) not in (0, 0xFFFF):
                raise TestFailure("the checksum of a segment in the file is wrong")


def echo_to(listener, count):
    """Serves so many connections, one behind the other."""
    for _ in range(count):
        with listener.accept()[0] as peer:
            while data := peer.recv(4096):
                peer.sendall(data)


def connect_all(server):
    for _ in range(FLOWS):
        with server.connect() as peer:
            for _ in range(FLOW_EXCHANGES):
                peer.sendall(bytes(FLOW_BYTES))
                if receive(peer, FLOW_BYTES) != bytes(FLOW_BYTES):
                    raise TestFailure("a connection does not echo")


def left_to_others(server, play):
    """(packets that stacks took meanwhile, packets and requests that cores left to others)"""
    before = [int(word) for word in server.ask("counts").split()[1:]]
    play()
    return tuple(int(word) - old for word, old in zip(server.ask("counts").split()[1:], before))


# @verifies ATL-LLR-NET-0840~1 ATL-LLR-VIRTIO-0830~1
@system_test(matrix=PAIRWISE, machine=("q35",), cores=(2, 4), libc=("musl",), timeout_s=60)
def test_a_flow_stays_on_its_core(guest):
    """Connections to a port that all cores listen on, and from all cores: their frames come by the queue of the core
    whose they are; but for the first answer to each of the latter, which the tap cannot know yet."""
    def scenario(server):
        listener = socket.create_server((PEER_4.split("/")[0], PORT))
        echoes = threading.Thread(target=echo_to, args=(listener, guest.cores * (FLOWS // guest.cores)))
        echoes.start()
        to, frm = (left_to_others(server, play) for play in (
            lambda: connect_all(server), lambda: server.ask(f"connect {FLOWS // guest.cores}")))
        echoes.join()
        if to[0] < FLOWS * FLOW_EXCHANGES or to[1] > FLOWS / 10 or frm[1] > FLOWS * 1.1:
            raise TestFailure(f"packets, and what cores left to others: {to} of connections to us, {frm} of ours")

    serve(guest, scenario, lambda: add_tap("guest", PEER_4, PEER_6, several=True),
          setting=f"tap=guest,queues={guest.cores}", program="flows.c")
