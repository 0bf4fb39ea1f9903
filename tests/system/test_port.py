# SPDX-License-Identifier: Apache-2.0
"""Ports: a program that calls the gate itself sends and receives frames over the network device."""
import os
import random
import socket
import struct
import tempfile
import threading

from lib import FULL, PAIRWISE, system_test
from monitor import Memory
from test_conformance import gate_include_flags

from atoll.net import net_arguments, net_device

MAC = "52:54:00:00:00:07"
WINDOW = 64  # frames on their way; with one the program waits for each


def program(guest):
    return guest.build("port.c", *gate_include_flags())


def pack(guest, *arguments, **settings):
    # A library OS without IP leaves the port alone.
    return guest.pack(program(guest), *arguments, net="user", posix=guest.parts(net="unix")[1], **settings)


class Peer:
    """The other end of the machine's network: a socket of this machine, a datagram for each frame."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(folder, "peer"))
        self.socket.settimeout(20)

    def qemu(self, machine, *settings):
        ends = (f"local.type=unix,local.path={self.folder}/guest,"
                f"remote.type=unix,remote.path={self.folder}/peer")
        return ("-netdev", f"dgram,id=peer,{ends}", *net_device("peer", MAC, machine, *settings))

    def send_to_self(self, data):
        """Behind all that the machine has sent."""
        self.socket.sendto(data, os.path.join(self.folder, "peer"))

    def send(self, frame):
        self.socket.sendto(frame, os.path.join(self.folder, "guest"))


def frames_of(count, seed=1):
    source = random.Random(seed)
    sizes = [14, 15, 59, 60, 1513, 1514] + [source.randint(14, 1514) for _ in range(count)]
    return [source.randbytes(size) for size in sizes[:count]]


def exchange(peer, frames, wrong, window=WINDOW):
    """Sends frames and expects each back, in order; so many are on their way at most."""
    sent = 0
    try:
        for number, frame in enumerate(frames):
            while sent < len(frames) and sent < number + window:
                peer.send(frames[sent])
                sent += 1
            back = peer.socket.recv(65536)
            if back != frame:
                wrong.append(f"frame {number} of {len(frame)} bytes came back as {len(back)} others")
                return
    except OSError as error:
        wrong.append(f"after {sent} frames: {error}")


def echo(guest, word, count, core=0, first=(), port=0, **boot):
    """first: arguments of devices before the peer's, which is of that port."""
    with tempfile.TemporaryDirectory() as folder:
        peer, said, wrong, threads = Peer(folder), bytearray(), [], []
        window = 1 if word == "park" else WINDOW  # so that the program parks

        def start(data):
            said.extend(data)
            if b"ready\n" in said and not threads:  # the console has no more to tell the guest
                threads.append(threading.Thread(target=exchange, args=(peer, frames_of(count), wrong, window)))
                threads[0].start()

        result = guest.boot(pack(guest, f"port={port}", word, str(count), str(core), verbose=True),
                            qemu=(*first, *peer.qemu(guest.machine)), on_output=start, **boot)
        for thread in threads:
            thread.join()
        peer.socket.close()
    result.expect(status=0)
    result.expect_that(not wrong, f"each frame came back: {wrong}")
    return result


# @verifies ATL-LLR-VIRTIO-0803~1 ATL-LLR-ISOL-0800~1 ATL-LLR-VIRTIO-0004~4 ATL-LLR-VIRTIO-0008~3
@system_test(matrix=FULL, libc=("musl",), cores=(1, 2))
def test_port_is_told(guest):
    result = guest.boot(pack(guest, "info", verbose=True), qemu=net_arguments("user", MAC, guest.machine))
    result.expect(stdout=b"port 1 bytes 1048576 queues 1 mtu 1500 mac %s features 8000\n" % MAC.encode())


# @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-VIRTIO-0801~1 ATL-LLR-VIRTIO-0805~2 ATL-LLR-GATE-0800~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), word=("poll", "park"), timeout_s=60)
def test_frames_go_both_ways(guest):
    """There is an interrupt for each wait, and for a program that polls none."""
    echo(guest, guest.word, 600).expect(stdout=b"ready\nechoed 600\n")


def other_devices(machine, count):
    """So many devices behind which nobody is."""
    return [word for n in range(count) for word in (
        "-netdev", f"hubport,id=hub{n},hubid={n}", *net_device(f"hub{n}", f"52:54:00:00:01:{n:02x}", machine))]


def without_start(devices):
    """The first one insists on an IOMMU."""
    devices = list(devices)
    first = next(place for place, word in enumerate(devices) if word.startswith("virtio-net"))
    devices[first] += ",iommu_platform=on" + (",disable-legacy=on" if devices[first].startswith("virtio-net-pci") else "")
    return devices


# @verifies ATL-LLR-VIRTIO-1290~1 ATL-LLR-VIRTIO-0805~2
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), others=(1, 3), timeout_s=60)
def test_frames_go_by_the_port_of_a_later_device(guest):
    result = echo(guest, "park", 200, first=other_devices(guest.machine, guest.others), port=guest.others)
    result.expect(stdout=b"ready\nechoed 200\n")


# @verifies ATL-LLR-VIRTIO-1291~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=60)
def test_a_first_device_that_does_not_start_leaves_the_second(guest):
    """The second keeps its number, and the first has no queues."""
    first = without_start(other_devices(guest.machine, 1))
    result = echo(guest, "park", 50, first=first, port=1)
    result.expect(stdout=b"ready\nechoed 50\n")
    result.expect_that("port 0 does not follow the protocol: left off" in result.log, "it is told")
    guest.boot(pack(guest, "none"), qemu=first).expect(stdout=b"refused\n")


# @verifies ATL-LLR-VIRTIO-1290~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_more_devices_than_ports_are_left_off(guest):
    """The first ones have the ports, and each is told of itself."""
    devices = other_devices(guest.machine, 5)
    for port in (0, 3):
        result = guest.boot(pack(guest, f"port={port}", "info", verbose=True), qemu=devices)
        result.expect(stdout=b"port 1 bytes 1048576 queues 1 mtu 1500 mac 52:54:00:00:01:%02x features 8000\n" % port)
    bus = "PCI" if guest.machine == "q35" else "MMIO"
    result.expect_that(result.log.count(f"virtio device of kind 1 on {bus}: left off") == 1, "one is left off")


# @verifies ATL-LLR-VIRTIO-0801~1 ATL-LLR-VIRTIO-0805~2
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=120)
def test_ten_thousand_frames(guest):
    echo(guest, "poll", 10000)


# @verifies ATL-LLR-VIRTIO-0803~1
@system_test(matrix=FULL, libc=("musl",), cores=(1,))
def test_gateway_answers(guest):
    result = guest.boot(pack(guest, "arp"), qemu=net_arguments("user", MAC, guest.machine))
    result.expect(stdout=b"10.0.2.2 is at 52:55:0a:00:02:02\n")


# @verifies ATL-LLR-GATE-0800~1 ATL-LLR-VIRTIO-0803~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_no_device_no_queue(guest):
    guest.boot(pack(guest, "none")).expect(stdout=b"refused\n")


# @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-GATE-0800~1 ATL-LLR-ISOL-0800~1 @robust
@system_test(matrix=FULL, libc=("musl",), cores=(1, 2))
def test_hostile_entries_change_nothing(guest):
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(folder)
        result = guest.boot(pack(guest, "hostile", "3000"), qemu=peer.qemu(guest.machine))
        peer.socket.close()
    result.expect(stdout=b"hostile: refused as it should be\n")


class Ring:
    """What QEMU and the guest share of the device's receive queue, to be written from outside."""

    def __init__(self, folder, queue=0, number=0):
        self.monitor = Memory(folder)
        status = self.monitor.rings("virtio-net", queue, number)
        self.used, self.descriptors = status["vring-used"], status["vring-desc"]

    def write(self, at, layout, *values):
        struct.pack_into(layout, self.monitor.memory, at, *values)

    def index(self):
        return struct.unpack_from("<H", self.monitor.memory, self.used + 2)[0]


def run_ahead(ring):
    ring.write(ring.used + 2, "<H", (ring.index() + 300) & 0xffff)


def name_nobody(ring):
    for i in range(256):
        ring.write(ring.used + 4 + 8 * i, "<II", 256 + i, 20)
    ring.write(ring.used + 2, "<H", (ring.index() + 1) & 0xffff)


def name_twice(ring):
    for i in range(256):
        ring.write(ring.used + 4 + 8 * i, "<II", 250, 20)  # the device has 240
    ring.write(ring.used + 2, "<H", (ring.index() + 1) & 0xffff)


def tell_too_much(ring):
    for i in range(256):
        ring.write(ring.used + 4 + 8 * i, "<II", i, 2049)
    ring.write(ring.used + 2, "<H", (ring.index() + 1) & 0xffff)


def make_device_fail(ring):
    """QEMU refuses a descriptor that is behind itself and asks for a reset: with an interrupt."""
    for i in range(256):
        ring.write(ring.descriptors + 16 * i + 12, "<HH", 3, i)


ATTACKS = {"ahead": run_ahead, "nobody": name_nobody, "twice": name_twice, "too much": tell_too_much,
           "fails": make_device_fail}


def attack(guest, words, attack_of, frames, times):
    """Boots; attacks whenever the program says ready, `times` times, then exchanges frames."""
    with tempfile.TemporaryDirectory() as folder:
        peer, wrong, rings, threads = Peer(folder), [], [], []

        def ready(data):
            for _ in range(data.count(b"ready")):
                rings.append(Ring(folder) if not rings else rings[0])
                if len(rings) <= times:
                    attack_of(rings[0])
                    if attack_of is make_device_fail:
                        peer.send(bytes(60))  # it looks at a buffer
                else:
                    threads.append(threading.Thread(target=exchange, args=(peer, frames, wrong)))
                    threads[-1].start()

        result = guest.boot(pack(guest, *words), on_output=ready, qemu=(
            *peer.qemu(guest.machine),
            "-object", f"memory-backend-file,id=ram,size=128M,share=on,mem-path={folder}/memory",
            "-machine", "memory-backend=ram", "-qmp", f"unix:{folder}/monitor,server=on,wait=off"))
        for thread in threads:
            thread.join()
        peer.socket.close()
    result.expect(status=0)
    return result.expect_that(not wrong, f"each frame came back: {wrong}")


# @verifies ATL-LLR-VIRTIO-0801~1 ATL-LLR-VIRTIO-0802~1 ATL-LLR-VIRTIO-0804~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), attack=tuple(ATTACKS), timeout_s=60)
def test_device_that_breaks_a_rule_is_started_again(guest):
    word = "park" if guest.attack == "fails" else "poll"
    result = attack(guest, ("broken", word), ATTACKS[guest.attack], frames_of(20), 1)
    result.expect_that(result.stdout.startswith(b"ready\nready\nechoed 20\n"), "frames go again")


# @verifies ATL-LLR-VIRTIO-0804~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1,), timeout_s=60)
def test_device_that_breaks_rules_for_ever_is_off(guest):
    attack(guest, ("off",), run_ahead, [], 5).expect(stdout=b"ready\n" * 5 + b"off\n")
