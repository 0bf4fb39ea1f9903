# SPDX-License-Identifier: Apache-2.0
"""What a network can do to a machine: a bad wire, floods, peers that say nothing, garbage, a cable that is pulled. The
service goes on afterwards, and what was in use at the start is in use then, no more and no less. `./atoll test --full`
takes the large amounts."""
import contextlib
import os
import random
import resource
import selectors
import socket
import struct
import tempfile
import threading

from atoll.monitor import Monitor, monitor_arguments
from atoll.namespace import add_tap, ip
from bad_wire import BadWire
from fault_guest import (ADDRESS_4, ADDRESS_6, ANSWER_SECONDS, GUEST_MAC, OUR_4, OUR_6, PEER_4, PEER_6, PORT, Counted, probe,
                         receive, serve, set_link)
from frames import ACK, RST, SYN, TCP, Mutator, Wire, ip_packet, packed, tcp, udp, UDP
from lib import ONE, PAIRWISE, TestFailure, system_test

SEED = 20261121
CONNECTION_BYTES_MAX = 2048  # of an idle one
HEAP_BYTES_MAX = 2 << 20  # of all cores, with 1000 small frames waiting for one
RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # struct linger


def exchange(server, address, bytes_count, seed):
    """Sends bytes of a generator and compares what comes back, both at the same time."""
    piece_bytes = 1 << 16

    def pieces():
        generator = random.Random(seed)
        for left in range(bytes_count, 0, -piece_bytes):
            yield generator.randbytes(min(left, piece_bytes))

    with server.connect(address) as peer:
        sender = threading.Thread(target=lambda: [peer.sendall(piece) for piece in pieces()], daemon=True)
        sender.start()
        for number, piece in enumerate(pieces()):
            got = receive(peer, len(piece))
            if got != piece:
                raise TestFailure(f"{address}: {len(got)} bytes of piece {number} came, or others than were sent")
        sender.join()


def few(ring, cores, machine):
    """What is large with --full is so in both rings of one machine, another for each test; ring: usually this one alone."""
    return {"ring": (ring, 3 - ring), "cores": (cores,), "machine": (machine,), "libc": ("musl",)}


# @verifies ATL-LLR-POSIX-0972~1
@system_test(matrix=ONE, timeout_s=3600, **few(3, 4, "microvm"))
def test_bytes_are_exact_behind_a_bad_wire(guest):
    wires = []

    def scenario(server):
        counted = Counted(server)
        for address in (ADDRESS_4, ADDRESS_6):
            exchange(server, address, guest.amount(1 << 20, 100 << 20), SEED)
        counted.expect_same()
        done = wires[0].end()
        for direction, faults in done.items():
            for fault, count in faults.items():
                if count == 0:
                    raise TestFailure(f"the wire never did {fault} {direction}")

    serve(guest, scenario, lambda: wires.append(BadWire(
        SEED, PEER_4, PEER_6, loss=0.01, delay=0.05, reorder=0.02, duplicate=0.01, corrupt=0.01)))


def good_wire():
    add_tap("guest", PEER_4, PEER_6)


def send_all(wire, frames):
    """Sends frames no faster than the guest takes them."""
    for number, frame in enumerate(frames):
        wire.send(frame)
        if number % 100 == 99:
            probe(wire)
    probe(wire)


def is_extended(frame):
    """Whether a frame of IPv6 may be a piece of a packet: pieces wait a minute for the others (RFC 8200)."""
    return frame[12:14] == b"\x86\xdd" and frame[20:21] in (b"\0", b"\x2b", b"\x2c", b"\x3c")


# @verifies ATL-LLR-POSIX-0972~1 @robust
@system_test(matrix=ONE, timeout_s=3600, **few(0, 2, "microvm"))
def test_frames_of_any_kind_do_no_harm(guest):
    def frames(wire):
        mutator = Mutator(SEED, wire, ((OUR_4, ADDRESS_4), (OUR_6, ADDRESS_6)), PORT)
        for _ in range(guest.amount(20000, 1000000)):
            frame = mutator.frame()
            if guest.is_full or not is_extended(frame):
                yield frame

    def scenario(server):
        counted = Counted(server)
        wire = Wire("guest", GUEST_MAC)
        send_all(wire, frames(wire))
        counted.expect_same()

    serve(guest, scenario, good_wire)


def strangers(count):
    """(address, port) of machines that are not there, and of this one."""
    generator = random.Random(SEED)
    for _ in range(count):
        host = generator.choice((packed(OUR_4), packed(f"10.9.0.{generator.randrange(10, 250)}")))
        yield host, generator.randrange(1024, 65536)


# @verifies ATL-LLR-POSIX-0972~1 @robust
@system_test(matrix=ONE, timeout_s=1200, **few(0, 4, "q35"))
def test_floods_of_connections_that_begin_and_break(guest):
    def segments(wire, flags, count):
        generator = random.Random(SEED + flags)
        for host, port in strangers(count):
            kind, packet = ip_packet(host, packed(ADDRESS_4), TCP,
                                     tcp(port, PORT, flags, generator.getrandbits(32), generator.getrandbits(32)))
            yield GUEST_MAC + wire.mac + struct.pack("!H", kind) + packet

    def scenario(server):
        counted = Counted(server)
        wire = Wire("guest", GUEST_MAC)
        for flags in (SYN, RST, RST | ACK, SYN | ACK, ACK):
            send_all(wire, segments(wire, flags, guest.amount(2000, 100000)))
        for _ in range(guest.amount(500, 20000)):
            with server.connect() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
                peer.send(b"never read")
        counted.expect_same()

    serve(guest, scenario, good_wire)


def idle_connections(count):
    """Connections that are open, of both families; they say nothing."""
    peers = []
    with selectors.DefaultSelector() as selector:
        while len(peers) < count:
            for _ in range(min(100, count - len(peers))):
                is_6 = len(peers) % 2
                peer = socket.socket(socket.AF_INET6 if is_6 else socket.AF_INET)
                peer.setblocking(False)
                peer.connect_ex((ADDRESS_6 if is_6 else ADDRESS_4, PORT))
                selector.register(peer, selectors.EVENT_WRITE)
                peers.append(peer)
            while selector.get_map():
                for key, _ in selector.select(60) or ((None, None),):
                    if key is None or key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
                        raise TestFailure(f"a connection of {len(peers)} is not made")
                    selector.unregister(key.fileobj)
    return peers


def close_all(peers):
    for peer in peers:
        peer.close()


# @verifies ATL-LLR-POSIX-0972~1 ATL-LLR-NET-0860~1 @robust
@system_test(matrix=ONE, timeout_s=1200, **few(3, 2, "q35"))
def test_many_peers_that_say_nothing_or_little(guest):
    count = guest.amount(1000, 10000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))

    def scenario(server):
        server.ask("limit 10240")
        counted = Counted(server)
        heap_before = server.counts()["heap"]
        peers = idle_connections(count)
        heap = server.counts()["heap"] - heap_before
        for _ in range(3):  # slowloris: a byte from each, now and then
            for peer in peers[:200]:
                peer.send(b"x")
            server.expect_service()
        descriptors = server.counts()["descriptors"]
        close_all(peers)
        if descriptors < count:
            raise TestFailure(f"{count} peers are {descriptors} descriptors")
        if heap > count * CONNECTION_BYTES_MAX:
            raise TestFailure(f"{count} connections take {heap} bytes")
        counted.expect_same()

    serve(guest, scenario, good_wire)


# @verifies ATL-LLR-POSIX-0972~1 @robust
@system_test(matrix=ONE, timeout_s=600, **few(0, 1, "microvm"))
def test_no_descriptor_is_left(guest):
    def scenario(server):
        counted = Counted(server)
        server.ask("limit 40")
        peers = [server.connect() for _ in range(100)]
        close_all(peers)
        server.ask("limit 1024")
        counted.expect_same()

    serve(guest, scenario, good_wire)


# @verifies ATL-LLR-POSIX-0972~1 ATL-LLR-POSIX-0973~1 @robust
@system_test(matrix=ONE, timeout_s=600, **few(0, 1, "q35"))
def test_peers_that_send_and_do_not_read(guest):
    """The program does not read, and then the peers do not: all buffers are full, and segments are lost while windows
    are closed."""
    def fill(peers):
        """Sends until nobody has taken more for a second; what was sent to each."""
        sent = dict.fromkeys(peers, 0)
        with selectors.DefaultSelector() as selector:
            for peer in peers:
                peer.setblocking(False)
                selector.register(peer, selectors.EVENT_WRITE)
            while ready := selector.select(1):
                for key, _ in ready:
                    with contextlib.suppress(BlockingIOError):
                        sent[key.fileobj] += key.fileobj.send(bytes(16384))
        return list(sent.values())

    def drain(peers, sent):
        for peer, left in zip(peers, sent):
            peer.settimeout(60)
            while left > 0:
                left -= len(peer.recv(65536))

    def scenario(server):
        counted = Counted(server)
        peers = [server.connect() for _ in range(60)]
        for peer in peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        server.ask("deaf")
        sent = fill(peers)
        server.ask("hear")
        drain(peers, sent)
        close_all(peers)
        counted.expect_same()

    serve(guest, scenario, good_wire, memory=96)


# @verifies ATL-LLR-POSIX-0972~1 @robust
@system_test(matrix=ONE, timeout_s=300, **few(3, 4, "microvm"))
def test_frames_of_any_size(guest):
    def scenario(server):
        counted = Counted(server)
        ip("link", "set", "guest", "mtu", "9000")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for size in (1473, 2000, 2060, 4000, 8000):  # in one frame, which is more than a buffer
                for _ in range(100):
                    peer.sendto(bytes(size), (ADDRESS_4, PORT))
        exchange(server, ADDRESS_4, 1 << 18, SEED)
        for mtu in ("576", "100"):  # IPv6 has no such
            ip("link", "set", "guest", "mtu", mtu)
            exchange(server, ADDRESS_4, 1 << 14, SEED)
        ip("link", "set", "guest", "mtu", "1500")
        ip("addr", "add", PEER_6, "dev", "guest", "nodad")
        counted.expect_same()

    serve(guest, scenario, good_wire)


def expect_announcement(capture):
    """The guest says by ARP where its address is, asked by nobody."""
    try:
        while True:
            frame = capture.recv(2048)
            if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] == packed(ADDRESS_4):
                return
    except TimeoutError:
        raise TestFailure("the machine does not say that it is back") from None


# @verifies ATL-LLR-POSIX-0972~1 ATL-LLR-NET-1152~1 ATL-LLR-VIRTIO-1152~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=300, cores=(2, 1), libc=("musl",))
def test_a_cable_that_is_pulled_and_plugged(guest):
    """The program is told; plugged in again the machine says who it is, and connections go on, of new peers too."""
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as folder:
        path = os.path.join(folder, "monitor")

        def scenario(server):
            counted = Counted(server)
            monitor = Monitor(path)
            with server.connect() as peer:
                for number in range(3):
                    set_link(server, monitor, False)
                    peer.sendall(b"%d" % number * 50000)
                    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as capture:
                        capture.bind(("guest", 3))
                        capture.settimeout(ANSWER_SECONDS)
                        set_link(server, monitor, True)
                        expect_announcement(capture)
                    server.expect_service()
                    if receive(peer, 50000) != b"%d" % number * 50000:
                        raise TestFailure("the connection does not go on")
            counted.expect_same()

        serve(guest, scenario, good_wire, device=monitor_arguments(path))


# @verifies ATL-LLR-POSIX-0972~1 ATL-LLR-POSIX-0974~1 ATL-LLR-POSIX-0975~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=300, cores=(1, 2), libc=("musl",))
def test_a_flood_does_not_stop_the_program(guest):
    """The console is answered while frames come faster than the guest can take them."""
    def scenario(server):
        counted = Counted(server)
        wire = Wire("guest", GUEST_MAC)
        frame = GUEST_MAC + wire.mac + b"".join(
            (lambda kind, packet: (struct.pack("!H", kind), packet))(*ip_packet(
                packed(OUR_4), packed(ADDRESS_4), UDP, udp(9, 9, bytes(18)))))
        is_over = threading.Event()

        def flood():
            while not is_over.is_set():
                wire.send(frame)

        flooders = [threading.Thread(target=flood, daemon=True) for _ in range(2)]
        for thread in flooders:
            thread.start()
        try:
            heap = max(server.counts()["heap"] for _ in range(20))
        finally:
            is_over.set()
        for thread in flooders:
            thread.join()
        if heap > HEAP_BYTES_MAX:
            raise TestFailure(f"the frames that wait take {heap} bytes")
        counted.expect_same()

    serve(guest, scenario, good_wire)
