# SPDX-License-Identifier: Apache-2.0
"""A guest with two network devices, each on a tap of its own: it is reached on both, and what happens to one is nothing to
the other."""
import contextlib
import json
import operator
import os
import random
import socket
import struct
import subprocess
import tempfile
import threading
import time

import servers
from atoll.build import build_program
from atoll.namespace import add_tap, ip
from atoll.net import net_settings
from atoll.paths import ROOT
from atoll.policy import policy_rules
from bridge import internet_checksum
from fault_guest import ADDRESS_4, ADDRESS_6, ANSWER_SECONDS, PEER_4, PEER_6, PORT, receive, serve, set_link
from frames import Wire, arp, ethernet, packed
from lib import EACH, PAIRWISE, TestFailure, system_test
from monitor import Monitor
from test_datagrams import FORMED, PREFIX, ROUTER, advertisement, ask_from
from test_packet import CTRL_C, INPUT_IS_TERMINAL, LEFT, MAC, OWN, RIGHT, SECONDS_MAX, Guest, from_guest, odd_frames
from test_port import ATTACKS, Ring, without_start

SECOND_4, SECOND_6 = "10.8.0.2", "fd08::2"
SECOND_PEER_4, SECOND_PEER_6 = "10.8.0.1", "fd08::1"
ALL = (ADDRESS_4, ADDRESS_6, SECOND_4, SECOND_6)
NETS = net_settings(["tap=guest", "tap=other"])
IP = (f"{ADDRESS_4}/24", f"{ADDRESS_6}/64", f"eth1={SECOND_4}/24", f"eth1={SECOND_6}/64")
MEMORY_MIB = 256
MANY = ("239.255.255.250", "255.255.255.255")
SECOND_MAC = "52:54:00:12:34:57"  # the tool's
AGAIN, OFF = b"posix: eth1 broke a rule of virtio and was started again", b"posix: eth1 broke the rules of virtio too often: it is off"


def two_taps():
    add_tap("guest", PEER_4, PEER_6)
    add_tap("other", f"{SECOND_PEER_4}/24", f"{SECOND_PEER_6}/64")


def answers(address):
    """Whether it answers an echo request."""
    is_6 = ":" in address
    family, protocol = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if is_6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    kind, reply, skipped = (128, 129, 0) if is_6 else (8, 0, 20)
    request = bytearray(struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, 1) + b"echo")
    struct.pack_into("!H", request, 2, internet_checksum(request))  # the kernel here makes that of IPv6
    with socket.socket(family, socket.SOCK_RAW, protocol) as peer:
        peer.settimeout(ANSWER_SECONDS)
        peer.sendto(request, (address, 0))
        while True:
            answer, origin = peer.recvfrom(2048)
            if origin[0] == address and answer[skipped] == reply and answer[skipped + 4:] == request[4:]:
                return True


def side_by_side(call, values):
    """call(value) of all at once; TestFailure if one raises or is not true."""
    wrong = []

    def run(value):
        try:
            if not call(value):
                wrong.append(f"{value}: no")
        except Exception as error:  # whatever it is, the test tells it
            wrong.append(f"{value}: {error!r}")
    threads = [threading.Thread(target=run, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise TestFailure("; ".join(wrong))


def has_datagram(address):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(ANSWER_SECONDS)
        for size in (1, 1472, 6000):
            peer.connect((address, PORT))  # so that an answer from another address is none
            peer.send(bytes(size))
            if peer.recv(65536) != bytes(size):
                return False
    return True


def on_tap(tap):
    """(frames to the guest, bytes from it, frames from it) as the kernel here counts them."""
    done = subprocess.run(["ip", "-s", "-j", "link", "show", tap], capture_output=True, check=True)
    counts = json.loads(done.stdout)[0]["stats64"]
    return counts["tx"]["packets"], counts["rx"]["bytes"], counts["rx"]["packets"]


def in_guest(server, name):
    """The same; bytes to the guest are more where a frame was filled up."""
    return tuple(map(int, server.ask(f"traffic {name}").split()[2:]))


def counted_by(server):
    """What is counted of each device, there and here: (frames to the guest, bytes from it, frames from it). Twice the same:
    of a frame that goes just then one may tell and the other not yet."""
    before = None
    while (now := [(in_guest(server, name), on_tap(tap)) for name, tap in (("eth0", "guest"), ("eth1", "other"))]) != before:
        before = now
    return now


def expect_counts(server, before):
    """What came and went since is the same there and here, and a device's own, as soon as nothing is on its way."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        gone = [[tuple(map(operator.sub, now, then)) for now, then in zip(*pair)] for pair in zip(counted_by(server), before)]
        if all(there == here for there, here in gone):
            break
        if time.monotonic() > deadline:
            raise TestFailure(f"the guest counts other than its taps: {gone}")
    if not gone[0][0][1] < 10000 < gone[1][0][1]:
        raise TestFailure(f"the second device had the bytes: {gone}")


# @verifies ATL-LLR-NET-1296~1
@system_test(matrix=EACH, cores=(1, 2), libc=("musl",), timeout_s=120)
def test_each_device_has_counts_of_its_own(guest):
    def scenario(server):
        before = counted_by(server)
        if not server.echoes(SECOND_4, bytes(100000)):
            raise TestFailure("it does not echo")
        expect_counts(server, before)
        received, frames, sent, count = map(int, server.ask("traffic lo").split()[1:])
        if (received, frames) != (sent, count):
            raise TestFailure("what goes by the loopback comes by it")

    serve(guest, scenario, two_taps, setting=NETS, ip=IP)


# @verifies ATL-LLR-VIRTIO-1290~1 ATL-LLR-NET-1292~1 ATL-LLR-NET-1293~1 ATL-LLR-TOOL-1295~1
@system_test(matrix=PAIRWISE, timeout_s=120)
def test_a_program_is_reached_on_both_at_once(guest):
    data = bytes(i * 7 % 251 for i in range(100000))

    def scenario(server):
        side_by_side(lambda address: server.echoes(address, data) and has_datagram(address), ALL)
        side_by_side(answers, ALL)

    serve(guest, scenario, two_taps, setting=NETS, ip=IP)


# @verifies ATL-LLR-NET-1292~1
@system_test(matrix=PAIRWISE, cores=(1, 2), libc=("musl",), timeout_s=120)
def test_a_bound_address_is_reached_by_each_device(guest):
    """As on Linux an address is the machine's, and a server that has bound it has no other."""
    def scenario(server):
        for way in ("own", "other"):
            if way == "other":
                ip("route", "add", f"{SECOND_4}/32", "via", ADDRESS_4, "dev", "guest")
            if not server.echoes(SECOND_4) or not has_datagram(SECOND_4):
                raise TestFailure(f"not reached by its {way} device")
        try:
            server.connect(ADDRESS_4).close()
        except ConnectionRefusedError:
            return
        raise TestFailure("reached by an address that it has not bound")

    serve(guest, scenario, two_taps, setting=NETS, ip=IP, arguments=(str(PORT), f"::ffff:{SECOND_4}"))


def set_second(server, monitor, is_up):
    """The second device's cable; the first has its own."""
    set_link(server, monitor, is_up, "net1", "eth1", SECOND_PEER_4)
    if (told := server.ask(f"link eth0 {SECOND_PEER_4}")) != "link 1 up 1 error 0":
        raise TestFailure(f"of the first device: {told}")


def monitored(folder):
    return ("-object", f"memory-backend-file,id=ram,size={MEMORY_MIB}M,share=on,mem-path={folder}/memory",
            "-machine", "memory-backend=ram", "-qmp", f"unix:{folder}/monitor,server=on,wait=off")


# @verifies ATL-LLR-NET-1292~1 ATL-LLR-NET-1152~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=120, cores=(1, 2), libc=("musl",))
def test_a_cable_pulled_from_one_leaves_the_other(guest):
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as folder:
        def scenario(server):
            monitor = Monitor(os.path.join(folder, "monitor"))
            with server.connect(SECOND_4) as peer:
                set_second(server, monitor, False)
                peer.sendall(b"x" * 1000)
                side_by_side(server.echoes, (ADDRESS_4, ADDRESS_6))
                set_second(server, monitor, True)
                if receive(peer, 1000) != b"x" * 1000:
                    raise TestFailure("the connection does not go on")
            side_by_side(server.echoes, ALL)

        serve(guest, scenario, two_taps, setting=NETS, ip=IP, device=monitored(folder))


# @verifies ATL-LLR-VIRTIO-1291~1 ATL-LLR-NET-0941~1 @robust
@system_test(matrix=PAIRWISE, timeout_s=120, cores=(1, 2), libc=("musl",), attack=("ahead", "nobody", "too much"))
def test_a_second_device_that_lies_takes_down_itself_alone(guest):
    """The first one's connection goes on, and the second one's over what is started again; after the fifth lie the second
    is off, and what would leave by it is refused."""
    with tempfile.TemporaryDirectory(prefix="atoll-test-") as folder:
        def scenario(server):
            ring = Ring(folder, number=1)
            with server.connect(ADDRESS_4) as first, server.connect(SECOND_4) as second:
                for lie in range(4):
                    ring.monitor.execute("set_link", name="net1", up=False)  # a frame that comes would be the truth
                    ATTACKS[guest.attack](ring)
                    while ring.index() != 0:
                        server.ask(f"link eth1 {SECOND_PEER_4}")
                    set_second(server, ring.monitor, True)
                    for peer in (second, first):
                        peer.sendall(b"%d" % lie * 1000)
                        if receive(peer, 1000) != b"%d" % lie * 1000:
                            raise TestFailure("a connection does not go on")
                side_by_side(server.echoes, ALL)
                ring.monitor.execute("set_link", name="net1", up=False)
                ATTACKS[guest.attack](ring)
                while server.ask(f"link eth1 {SECOND_PEER_4}").endswith("error 0"):
                    pass
                first.sendall(b"x" * 1000)
                if receive(first, 1000) != b"x" * 1000:
                    raise TestFailure("the first device's connection does not go on")
            side_by_side(server.echoes, (ADDRESS_4, ADDRESS_6))

        result = serve(guest, scenario, two_taps, setting=NETS, ip=IP, device=monitored(folder))
    result.expect_that(result.stderr.count(AGAIN) == 4 and result.stderr.count(OFF) == 1 and b"eth0" not in result.stderr,
                       "it is told of the second device alone")


# @verifies ATL-LLR-NET-1292~1 ATL-LLR-TOOL-1295~1
@system_test(matrix=PAIRWISE, cores=(1, 2), libc=("musl",), number=(1, 3), first=("works", "does not start"), timeout_s=90)
def test_later_devices_have_addresses_by_dhcp(guest):
    """On QEMU's user networks, of which the last one leads to the program."""
    server = servers.Server(guest.build("flows.c"), ("80",), b"serving", memory=MEMORY_MIB)

    def clients(here):
        with socket.create_connection(("127.0.0.1", here), ANSWER_SECONDS) as peer:
            peer.sendall(b"by the last one")
            if peer.recv(100) != b"by the last one":
                raise TestFailure("it does not answer")

    result = servers.serve_forwarded(guest, server, clients, 80, before=("user",) * guest.number,
                                      change=tuple if guest.first == "works" else without_start)
    result.expect(status=130)
    result.expect_that(b"nobody gives" not in result.stderr, "each device has an address")


# @verifies ATL-LLR-NET-1293~1
@system_test(matrix=EACH, cores=(1, 2), libc=("musl",), timeout_s=120)
def test_answers_leave_where_questions_came(guest):
    """Somebody behind both routers asks on both addresses."""
    far = "192.0.2.1"

    def scenario(server):
        ip("addr", "add", f"{far}/32", "dev", "lo")
        for address, mine in ((ADDRESS_4, "guest"), (SECOND_4, "other")):
            before = {tap: on_tap(tap)[1] for tap in ("guest", "other")}
            with socket.create_connection((address, PORT), ANSWER_SECONDS, (far, 0)) as peer:
                peer.sendall(bytes(5000))
                if receive(peer, 5000) != bytes(5000):
                    raise TestFailure(f"{address} does not answer")
            gone = {tap: on_tap(tap)[1] - before[tap] for tap in before}
            if not max(gone[tap] for tap in gone if tap != mine) < 5000 < gone[mine]:
                raise TestFailure(f"the answers of {address} have left elsewhere: {gone}")

    serve(guest, scenario, two_taps, setting=NETS,
          ip=(f"{ADDRESS_4}/24,gateway=10.9.0.1", f"eth1={SECOND_4}/24,gateway={SECOND_PEER_4}"))


# @verifies ATL-LLR-NET-1297~1 ATL-LLR-NET-1380~1 ATL-LLR-NET-1381~1
@system_test(matrix=EACH, cores=(1, 2), libc=("musl",), timeout_s=60)
def test_datagrams_of_a_bound_socket_keep_their_source(guest):
    """As on Linux, also by a device that has another address, and to this machine itself. Those for all of a link leave by
    the device that has the source; from the loopback's address nothing leaves."""
    seen, to_many = [], []

    def play(running, wire):
        with contextlib.ExitStack() as stack:
            ear, other = (stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))) for _ in "12")
            for each, tap in ((ear, "guest"), (other, "other")):
                each.bind((tap, 0))
                each.settimeout(SECONDS_MAX)
            while not seen or seen[-1][12:14] != b"\x08\x00":
                frame, (_, _, kind, _, _) = ear.recvfrom(2048)
                if kind == socket.PACKET_OUTGOING:
                    continue
                seen.append(frame)
                if frame[12:14] == b"\x08\x06" and frame[38:42] == packed("10.9.0.1"):  # where is it?
                    ear.send(ethernet(OWN, LEFT, *arp(2, LEFT, packed("10.9.0.1"), OWN, packed(ADDRESS_4))))
            while len(to_many) < len(MANY):
                frame = other.recv(2048)
                if frame[12:14] == b"\x08\x00" and frame[26:30] == packed(SECOND_4):
                    to_many.append(frame[30:34])

    program = guest.build("from_address.c")
    result = TwoTaps(guest, program, SECOND_4, ADDRESS_4, "to", *MANY, "10.9.0.1").run(play, b"\n")
    result.expect(stdout=b"".join(b"%s error 0, 1 from %s\n" % (to.encode(), SECOND_4.encode()) for to in (SECOND_4, ADDRESS_4))
                  + b"".join(b"%s error 0\n" % to.encode() for to in (*MANY, "10.9.0.1")) + b"inside error 22 22 22\n")
    result.expect_that(to_many == [packed(to) for to in MANY], f"the second device has what is for many: {to_many}")
    result.expect_that(seen[-1][26:30] == packed(SECOND_4), f"it says who it is: {seen[-1].hex()}")


# @verifies ATL-LLR-NET-1382~1
@system_test(matrix=EACH, cores=(1, 2), libc=("musl",), timeout_s=60)
def test_a_network_told_of_goes_before_a_router(guest):
    """eth0 has its network of IPv6 by a router that tells of it; eth1 has a router of --ip, which is nobody's way there."""
    def prepare():
        add_tap("guest", PEER_4, f"{ROUTER}/64", f"{PREFIX}1/64")
        add_tap("other", f"{SECOND_PEER_6}/64")

    def scenario(server):
        wire = Wire("guest", OWN)
        wire.send_packet(advertisement(wire), b"\x33\x33\0\0\0\1")
        for core in range(guest.cores):
            if not any(ask_from(f"{PREFIX}1", FORMED, PORT + core) for _ in range(SECONDS_MAX)):
                raise TestFailure(f"core {core} does not answer its neighbour")

    serve(guest, scenario, prepare, program="datagrams.c", setting=NETS,
          ip=(f"{ADDRESS_4}/24", f"eth1={SECOND_6}/64,gateway={SECOND_PEER_6}"))


class TwoTaps(Guest):
    net, mac, ip, taps = NETS, None, IP, ("guest", "other")


# @verifies ATL-LLR-POLICY-1294~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35", "microvm"), cores=(1, 2), libc=("musl",), policed=(True, False), timeout_s=60)
def test_the_policy_holds_on_the_second_device(guest):
    """A program that sends frames by eth1, with the source of eth0 among them."""
    policy = policy_rules({"addresses": [ADDRESS_4, SECOND_4], "inbound": ["tcp/7", "icmp"], "outbound": []})
    own, seen = bytes.fromhex(SECOND_MAC.replace(":", "")), []

    def play(running, wire):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as ear:
            ear.bind(("other", 0))
            ear.settimeout(SECONDS_MAX)
            running.wait_for(b"sent")
            question = arp(1, RIGHT, packed(SECOND_PEER_4), bytes(6), packed(SECOND_4))
            ear.send(ethernet(b"\xff" * 6, RIGHT, *question))
            while not seen or seen[-1][:14] != RIGHT + own + b"\x08\x06":
                frame, (_, _, kind, _, _) = ear.recvfrom(2048)
                seen.extend([frame] if kind != socket.PACKET_OUTGOING else [])
        running.type(b"go\n")

    running = TwoTaps(guest, guest.build("packet_sockets.c"), "eth1", "spoof", policy=policy if guest.policed else [])
    result = running.run(play).expect(status=0)
    bad = [frame for frame in seen if frame[6:12] != own]
    result.expect_that(len(bad) == (0 if guest.policed else 1), f"what got out: {bad}")


def forwarded(running, wire):
    """Frames of each neighbour come out at the other's tap, and of strangers none."""
    running.wait_for(b"forwarding")
    own = {"guest": bytes.fromhex(MAC.replace(":", "")), "other": bytes.fromhex(SECOND_MAC.replace(":", ""))}
    with contextlib.ExitStack() as stack:
        ends = {}
        for tap in own:
            ends[tap] = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
            ends[tap].bind((tap, 0))
            ends[tap].settimeout(SECONDS_MAX)
        neighbours = {"guest": LEFT, "other": RIGHT}
        for number, (kind, payload) in enumerate(odd_frames(random.Random(6))):
            one, other = ("guest", "other") if number % 2 == 0 else ("other", "guest")
            for to, source in ((own[one], neighbours[other]), (own[other], neighbours[one]), (own[one], neighbours[one])):
                ends[one].send(ethernet(to, source, kind, payload))
            got = from_guest(ends[other], neighbours[other])
            if got != ethernet(neighbours[other], own[other], kind, payload):
                raise TestFailure(f"frame {number}: {got[:40].hex()} instead of one of {len(payload) + 14} bytes")


# @verifies ATL-LLR-NET-0902~1 ATL-LLR-NET-0903~1 ATL-LLR-NET-1292~1
@system_test(matrix=PAIRWISE, libc=("musl",), timeout_s=60)
def test_forwarder_between_two_devices(guest):
    program = build_program("forwarder", ROOT / "apps" / "forwarder" / "forwarder.c")
    neighbours = [f"eth0={LEFT.hex(':')}", f"eth1={RIGHT.hex(':')}"]
    result = TwoTaps(guest, program, *neighbours, terminal=INPUT_IS_TERMINAL).run(forwarded, CTRL_C)
    count = len(odd_frames(random.Random(6)))
    result.expect(status=0)
    result.expect_that(f"forwarded {count}, lost 0".encode() in result.stdout, f"it has forwarded {count}")
