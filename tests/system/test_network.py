# SPDX-License-Identifier: Apache-2.0
"""TCP and names between a guest and this machine, through QEMU's user network: DHCP, a web server that
clients here reach by a forwarded port, a guest that connects to a server here."""
import http.client
import pathlib
import socket
import struct
import tempfile
import threading

from atoll.net import net_arguments, net_device
from lib import EACH, ONE, PAIRWISE, ROOT, TestFailure, system_test

SECONDS_MAX = 20
CLIENTS, REQUESTS = 4, 25
DATAGRAM_BYTES = 60000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Threads:
    """Threads that a test starts while the guest runs; what they raise is a failure."""

    def __init__(self):
        self.wrong = []
        self._threads = []

    def start(self, call, *arguments):
        def run():
            try:
                call(*arguments)
            except Exception as error:  # whatever it is, the test tells it
                self.wrong.append(repr(error))
        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def join(self):
        for thread in self._threads:
            thread.join(SECONDS_MAX)


def ask(port, requests):
    """A client that keeps its connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
    for number in range(requests):
        connection.request("GET", f"/{number}", headers={"X-Filler": "x" * (number * 97 % 1900)})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or not body.startswith(b"Hello from core "):
            raise AssertionError(f"{answer.status} {body!r}")
    connection.close()


def serve_web(guest, **settings):
    """Boots apps/http, and has clients ask it through a forwarded port; every request is answered."""
    program = guest.build(ROOT / "apps/http/http.c")
    port, threads = free_port(), Threads()
    net = f"user,forward={port}:80"

    def ready(data):
        if b"serving" in data:
            for _ in range(CLIENTS):
                threads.start(ask, port, REQUESTS)

    image = guest.pack(program, "80", str(CLIENTS * REQUESTS), net=net, memory=256, **settings)
    result = guest.boot(image, memory=256, on_output=ready, qemu=net_arguments(net, None, guest.machine))
    threads.join()
    result.expect(status=0)
    result.expect_that(not threads.wrong, f"every request is answered: {threads.wrong}")


# @verifies ATL-HLR-POSIX-0900~1 ATL-LLR-POSIX-0909~1 ATL-LLR-POSIX-0910~1 ATL-LLR-POSIX-0911~1
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_web_server_answers_this_machine(guest):
    serve_web(guest)


# @verifies ATL-LLR-POSIX-0909~1 ATL-LLR-POSIX-0910~1 ATL-LLR-POSIX-0911~1 ATL-LLR-POSIX-0912~1
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_guest_reaches_this_machine(guest):
    """The gateway of QEMU's network is this machine. Bytes go there and back from threads of all cores."""
    program = guest.build("network_client.c")
    server, threads = socket.create_server(("127.0.0.1", 0)), Threads()
    server.settimeout(SECONDS_MAX)

    def echo(peer):
        while data := peer.recv(65536):
            peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        peer.close()

    def serve():
        for _ in range(guest.cores):
            peer, _ = server.accept()
            peer.settimeout(SECONDS_MAX)
            threads.start(echo, peer)

    threads.start(serve)
    image = guest.pack(program, str(server.getsockname()[1]), str(guest.cores), net="user")
    result = guest.boot(image, qemu=net_arguments("user", None, guest.machine))
    server.close()
    threads.join()
    result.expect(status=0, stdout=b"nameserver 10.0.2.3\nlocalhost 127.0.0.1\nown 10.0.2.15\n"
                  + b"echoed\n" * guest.cores)
    result.expect_that(not threads.wrong, f"the server here is content: {threads.wrong}")


# @verifies ATL-LLR-NET-0830~1
@system_test(matrix=PAIRWISE, libc=("musl",), timeout_s=30)
def test_first_datagram_to_a_neighbour_arrives(guest):
    """Its many packets wait until the neighbour's address is known, and none is lost."""
    program = guest.build("first_datagram.c")
    threads = Threads()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(SECONDS_MAX)

        def answer():
            data, guest_end = server.recvfrom(65536)
            wanted = bytes(place * 7 & 255 for place in range(DATAGRAM_BYTES))
            server.sendto(b"whole" if data == wanted else b"another", guest_end)

        threads.start(answer)
        image = guest.pack(program, str(server.getsockname()[1]), str(DATAGRAM_BYTES), net="user")
        result = guest.boot(image, qemu=net_arguments("user", None, guest.machine))
        threads.join()
    result.expect(status=0, stdout=b"whole\n")


# @verifies ATL-LLR-POSIX-0909~1 @robust
@system_test(matrix=ONE, timeout_s=60)
def test_program_starts_though_nobody_gives_an_address(guest):
    program = guest.build("network_client.c")
    image = guest.pack(program, "9", "0", net="user")
    silence = ("-netdev", "hubport,id=net,hubid=0", *net_device("net", None, guest.machine))
    result = guest.boot(image, qemu=silence).expect(status=1)
    result.expect_that(b"nobody gives this machine an address" in result.stderr, "it is told")
    result.expect_that(b"/etc/resolv.conf: No such file" in result.stderr, "the program runs")


def frames_of(path):
    """The frames of a file in pcap's format, of Ethernet."""
    data = path.read_bytes()
    magic, _, _, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    if (magic, link) != (0xa1b2c3d4, 1):
        raise TestFailure(f"this is no pcap of Ethernet: {data[:24]}")
    place = 24
    while place < len(data):
        _, _, kept, length = struct.unpack_from("<IIII", data, place)
        if kept != length:
            raise TestFailure(f"{kept} bytes of a frame of {length}")
        yield data[place + 16:place + 16 + kept]
        place += 16 + kept


def sent_to(frames, port):
    """What TCP of IPv4 carried to a port, put together: {place in the stream: bytes}, which begin at 1."""
    first, pieces = None, {}
    for frame in frames:
        if frame[12:14] == b"\x08\0" and frame[23] == 6:
            segment = frame[14 + (frame[14] & 15) * 4:14 + struct.unpack_from("!H", frame, 16)[0]]
            _, to, sequence, _, offset = struct.unpack_from("!HHIIB", segment)
            if to == port:
                first = sequence if segment[13] & 2 else first
                pieces[(sequence - first) % 2**32] = segment[offset // 16 * 4:]
    return pieces


# @verifies ATL-LLR-TOOL-0954~1
@system_test(matrix=EACH, libc=("musl",), timeout_s=60)
def test_pcap_has_what_was_sent(guest):
    received, kernel, posix = bytearray(), *guest.parts(net="user")
    threads = Threads()
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as folder, socket.create_server(("127.0.0.1", 0)) as server:
        path = pathlib.Path(folder, "a,b.pcap")
        server.settimeout(SECONDS_MAX)

        def echo():
            peer, _ = server.accept()
            while data := peer.recv(65536):
                received.extend(data)
                peer.sendall(data)
            peer.close()

        threads.start(echo)
        port = server.getsockname()[1]
        done = guest.tool("run", "--ring", guest.ring, "--cores", guest.cores, "--machine", guest.machine, "--net", "user",
                          "--kernel", kernel, "--posix", posix, "--pcap", path, guest.build("network_client.c"), port, 1)
        threads.join()
        if done.returncode != 0 or not done.stdout.endswith(b"echoed\n") or threads.wrong:
            raise TestFailure(f"status {done.returncode}, {threads.wrong}", (done.stdout + done.stderr).decode())
        frames = list(frames_of(path))
    pieces = sent_to(frames, port)
    if bytes(received) != b"".join(stream_of(pieces)) or len(received) == 0:
        raise TestFailure(f"{len(frames)} frames do not have the {len(received)} bytes that came")
    if not any(frame[36:38] == struct.pack("!H", 67) and frame[12:14] == b"\x08\0" for frame in frames):
        raise TestFailure("there is no question of DHCP")


def stream_of(pieces):
    """The pieces in order, without what was sent twice."""
    behind = 1
    for place, piece in sorted(pieces.items()):
        if piece and place + len(piece) > behind:
            yield piece[behind - place:]
            behind = place + len(piece)


# @verifies ATL-LLR-NET-0905~1 @robust
@system_test(matrix=PAIRWISE, cores=(1,), machine=("microvm",), libc=("musl",), timeout_s=60)
def test_closed_connections_do_not_pile_up(guest):
    result = guest.run(guest.build("many_ends.c"), "1500", memory=256)
    result.expect(stdout=b"1024 wait, as many as may\n", status=0)
