# SPDX-License-Identifier: Apache-2.0
"""A network device with a pair of queues for each core, on a tap of a network of the test's own."""
import contextlib
import re
import select
import socket
import struct
import tempfile
import threading

from lib import FULL, PAIRWISE, TestFailure, system_test
from atoll.namespace import add_tap, private_network
from test_port import ATTACKS, MAC, Ring, make_device_fail, pack

from atoll.net import net_device
from atoll.policy import policy_rules

FLOWS, FRAMES = 64, 8  # of each
SECONDS = 30
IP = 0x0800
ECHO, REFUSED, LAST = 7, 8, 9  # ports
OWN_MAC, OTHER_MAC = bytes.fromhex(MAC.replace(":", "")), bytes((2, 0, 0, 0, 0, 1))
OWN, OTHER = bytes((10, 9, 0, 2)), bytes((10, 9, 0, 1))
POLICY = {"addresses": ["10.9.0.2"], "inbound": ["udp/7 from 10.9.0.0/24", "udp/9 from 10.9.0.0/24"], "outbound": []}
ALL_PROTOCOLS, PACKET_OUTGOING = 3, 4


def frame_of(flow, number, port=ECHO, is_answer=False):
    """A datagram of a flow, or how it comes back: the tap chooses a queue by its addresses and ports."""
    payload = struct.pack("!II", flow, number) + bytes(32)
    ends = [(OTHER_MAC, OTHER, 40000 + flow), (OWN_MAC, OWN, port)]
    source, to = reversed(ends) if is_answer else ends
    udp = struct.pack("!HHHH", source[2], to[2], 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source[1], to[1])
    return to[0] + source[0] + struct.pack("!H", IP) + ip + udp


class Tap:
    """The other end: what is written to the interface on this machine goes to the guest."""

    def __init__(self, queues):
        add_tap("guest", several=True)
        self._queues, self.is_refused = queues, False  # the second: some frames are to be refused
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
        self._socket.bind(("guest", 0))

    def qemu(self, *settings):
        return ("-netdev", f"tap,id=peer,ifname=guest,script=no,downscript=no,vhost=off,queues={self._queues}",
                *net_device("peer", MAC, "q35", "mq=on", f"vectors={2 * self._queues + 2}", *settings))

    def exchange(self, wrong):
        """Every frame of every flow comes back, those of a flow in order."""
        for number in range(FRAMES):
            left = {frame_of(flow, number, is_answer=True) for flow in range(FLOWS)}
            for port in (REFUSED, ECHO) if self.is_refused else (ECHO,):
                for flow in range(FLOWS):
                    self._socket.send(frame_of(flow, number, port))
            while left:
                if not select.select([self._socket], [], [], SECONDS)[0]:
                    wrong.append(f"{len(left)} frames of round {number} have not come back")
                    return
                frame, address = self._socket.recvfrom(65536)
                if address[2] != PACKET_OUTGOING:
                    left.discard(frame)
                    if struct.pack("!H", REFUSED) in (frame[34:36], frame[36:38]):
                        wrong.append("a frame that is to be refused has come back")

    def send_all(self):
        for flow in range(FLOWS):
            self._socket.send(frame_of(flow, FRAMES))

    def end(self):
        self._socket.send(frame_of(0, FRAMES, LAST))

    def close(self):
        self._socket.close()


@contextlib.contextmanager
def tap(queues):
    with private_network():
        end = Tap(queues)
        try:
            yield end
        finally:
            end.close()


def serve(guest, queues, *settings, word="park", attack=None, core=0, policy=None):
    """Boots; each time that all cores are ready attacks, or at last exchanges frames and says that it is over."""
    with tempfile.TemporaryDirectory() as folder, tap(queues) as peer:
        wrong, threads, told = [], [], []
        peer.is_refused = policy is not None

        def attack_once():
            ring = Ring(folder, 2 * core)
            attack(ring)
            if attack is make_device_fail:
                peer.send_all()  # it looks at a buffer

        def finish():
            peer.exchange(wrong)
            peer.end()

        def on_output(data):
            for _ in range(data.count(b"ready")):
                told.append(None)
                if policy is not None and len(told) > 1:
                    continue  # buffers of frames that were refused were given again
                is_attack = attack is not None and len(told) == 1
                threads.append(threading.Thread(target=attack_once if is_attack else finish))
                threads[-1].start()

        memory = ("-object", f"memory-backend-file,id=ram,size=128M,share=on,mem-path={folder}/memory",
                  "-machine", "memory-backend=ram", "-qmp", f"unix:{folder}/monitor,server=on,wait=off")
        result = guest.boot(pack(guest, "pairs", word, verbose=True, policy=policy_rules(policy) if policy else []), qemu=(*peer.qemu(*settings), *memory),
                            on_output=on_output)
        for thread in threads:
            thread.join()
    result.expect(status=0)
    result.expect_that(not wrong, f"each frame came back: {wrong}")
    counts = [tuple(map(int, words)) for words in
              re.findall(rb"core (\d+) echoed (\d+) errors (\d+)\n", result.stdout)]
    return result, {core: echoed for core, echoed, _ in counts}, sum(errors for _, _, errors in counts)


# @verifies ATL-LLR-VIRTIO-0830~1 ATL-LLR-VIRTIO-0831~1 ATL-LLR-VIRTIO-0803~1
@system_test(matrix=FULL, machine=("q35",), libc=("musl",), cores=(2, 4), timeout_s=90)
def test_each_core_has_a_pair(guest):
    result, echoed, errors = serve(guest, guest.cores, "page-per-vq=on")
    result.expect_that(len(echoed) == guest.cores and min(echoed.values()) > 0,
                       f"frames came by the pair of every core: {echoed}")
    result.expect_that(sum(echoed.values()) == FLOWS * FRAMES and errors == 0, f"each once: {echoed}")


# @verifies ATL-LLR-VIRTIO-0830~1
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(4,),
             device=((2, "page-per-vq=on", 2), (4, "page-per-vq=off", 1), (8, "page-per-vq=on", 4)), timeout_s=90)
def test_as_many_pairs_as_can_be(guest):
    queues, setting, wanted = guest.device
    result, echoed, _ = serve(guest, queues, setting)
    result.expect_that(sorted(echoed) == list(range(wanted)), f"{wanted} cores have a pair: {echoed}")
    result.expect_that(sum(echoed.values()) == FLOWS * FRAMES, f"each once: {echoed}")


# @verifies ATL-LLR-VIRTIO-0830~1 ATL-LLR-POLICY-0008~1 ATL-LLR-POLICY-0009~2
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(2, 4), timeout_s=90)
def test_the_policy_judges_on_each_pair(guest):
    _, echoed, errors = serve(guest, guest.cores, "page-per-vq=on", policy=POLICY)
    result_is = len(echoed) == guest.cores and min(echoed.values()) > 0
    if not result_is or sum(echoed.values()) != FLOWS * FRAMES or errors != 0:
        raise TestFailure(f"each core gets what may pass, once, and no more: {echoed}")


# @verifies ATL-LLR-VIRTIO-0832~1 ATL-LLR-VIRTIO-0804~1 @robust
@system_test(matrix=PAIRWISE, machine=("q35",), libc=("musl",), cores=(2, 4), broken=(0, 1),
             attack=tuple(ATTACKS), timeout_s=40)
def test_all_cores_begin_again(guest):
    """One core finds that the device breaks a rule, or the device says so."""
    word = "park" if guest.attack == "fails" else "poll"
    result, echoed, errors = serve(guest, guest.cores, "page-per-vq=on", word=word,
                                   attack=ATTACKS[guest.attack], core=guest.broken)
    result.expect_that(errors == 1, f"one core was told, not {errors}")
    result.expect_that(len(echoed) == guest.cores and min(echoed.values()) > 0,
                       f"frames came by the pair of every core: {echoed}")
