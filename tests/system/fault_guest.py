# SPDX-License-Identifier: Apache-2.0
"""A guest that runs fault_server.c on a tap, and what tests ask of it while it runs."""
import contextlib
import queue
import socket
import threading
import time

from atoll.address import ip_setting
from atoll.namespace import private_network
from atoll.net import net_arguments
from lib import TestFailure

PORT = 7
ADDRESS_4, ADDRESS_6 = "10.9.0.2", "fd09::2"
PEER_4, PEER_6 = "10.9.0.1/24", "fd09::1/64"
OUR_4, OUR_6 = PEER_4.split("/")[0], PEER_6.split("/")[0]
GUEST_MAC = bytes.fromhex("525400123456")  # QEMU's
ANSWER_SECONDS = 60    # of the console, under load
FRAME, TABLE_SPAN, CORES_MAX = 4096, 2 << 20, 4
QUIESCE_SECONDS = 150  # until the last connection of a peer that says nothing any more is given up


class Server:
    """The guest as the tests see it: answers of its console, and echoes by the network."""

    def __init__(self):
        self._commands, self._lines, self._text = queue.Queue(), queue.Queue(), b""

    def on_output(self, data):
        self._text += data
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            self._lines.put(line.decode())

    def next_command(self):
        return self._commands.get()

    def line(self):
        try:
            return self._lines.get(timeout=ANSWER_SECONDS)
        except queue.Empty:
            raise TestFailure("the program does not answer on its console") from None

    def ask(self, command):
        self._commands.put(command.encode() + b"\n")
        return self.line()

    def quit(self):
        self._commands.put(b"quit\n")
        self._commands.put(b"")

    def counts(self):
        """What is in use: {name: number}; of /dev/network the sums over the cores, and none of "core"."""
        words = self.ask("counts").split()[1:]
        sums = {}
        for name, value in zip(words[::2], words[1::2]):
            sums[name] = sums.get(name, 0) + int(value)
        sums.pop("core")
        return sums

    def connect(self, address=ADDRESS_4, timeout=ANSWER_SECONDS):
        return socket.create_connection((address, PORT), timeout)

    def echoes(self, address=ADDRESS_4, data=b"x" * 3000):
        """Whether a new connection gets its bytes back."""
        with self.connect(address) as peer:
            peer.sendall(data)
            return receive(peer, len(data)) == data

    def expect_service(self):
        for address in (ADDRESS_4, ADDRESS_6):
            if not self.echoes(address):
                raise TestFailure(f"{address} does not echo")

    def quiet_counts(self, is_quiet):
        """The counts as soon as is_quiet(counts); TestFailure if they never are. Twice the same: a frame that goes from
        core to core just then counts, too."""
        deadline = time.monotonic() + QUIESCE_SECONDS
        before = None
        while not is_quiet(now := self.counts()) or now != before:
            if time.monotonic() > deadline:
                raise TestFailure(f"still in use: {now}")
            before = now
            time.sleep(0.2)
        return now


def receive(peer, count):
    """So many bytes of a connection, or fewer if it ends; MSG_WAITALL does not wait at sockets with a timeout."""
    got = b""
    while len(got) < count and (piece := peer.recv(count - len(got))):
        got += piece
    return got


def set_link(server, monitor, is_up, netdev="net", interface="eth0", peer=OUR_4):
    """Pulls the cable or plugs it, until the program has heard of it. What it sends then is lost, not refused."""
    monitor.execute("set_link", name=netdev, up=is_up)
    deadline = time.monotonic() + ANSWER_SECONDS
    while (told := server.ask(f"link {interface} {peer}")) != f"link {int(is_up)} up 1 error 0":
        if time.monotonic() > deadline:
            raise TestFailure(f"the cable of {interface} is {'plugged' if is_up else 'pulled'}: {told}")


def probe(wire):
    """Waits until the guest has taken all frames that were sent before: says where this machine is, asks for an
    echo by UDP, and does so again until it comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(0.2)
        for number in range(300):
            wire.announce(OUR_4, OUR_6)
            text = f"probe {number}".encode()
            peer.sendto(text, (ADDRESS_4, PORT))
            with contextlib.suppress(OSError):  # of what came before there may be an error, or an echo
                while peer.recv(65536) != text:
                    pass
                return
    raise TestFailure("the guest does not answer any more")


class Counted:
    """What a server has in use that has served before. The quiesce: every peer has closed, and no connection, not
    even one that waits for its time to be over, is left. Descriptors, threads, connections, buffers and blocks of the
    heap are exactly the same then; so are frames, but for those that the heap has taken and keeps, and the tables that
    show where these are."""

    def __init__(self, server):
        server.expect_service()
        self._server = server
        self._before = server.quiet_counts(
            lambda now: not any(now[name] for name in ("connections", "ended", "held", "sending")))

    def expect_same(self):
        self._server.expect_service()
        try:
            self._server.quiet_counts(lambda now: not_free(now) == not_free(self._before))
        except TestFailure as failure:
            raise TestFailure(f"{failure}; before: {self._before}") from None
        self._expect_frames(self._server.counts())

    def _expect_frames(self, now):
        grown = now["heap"] - self._before["heap"]
        lost = self._before["free"] - now["free"] - grown
        tables = (grown // TABLE_SPAN + CORES_MAX) * FRAME if grown else 0
        if not 0 <= lost <= tables:
            raise TestFailure(f"{lost} bytes of frames are lost; before: {self._before}; now: {now}")


def not_free(counts):
    return {name: value for name, value in counts.items() if name not in ("free", "heap")}


def serve(guest, scenario, prepare=None, setting="tap=guest", memory=256, capture=None, device=(), program="fault_server.c",
          arguments=(str(PORT),), ip=(f"{ADDRESS_4}/24", f"{ADDRESS_6}/64"), **settings):
    """Boots the server in a network of its own, which prepare() furnishes, and plays scenario(server) meanwhile."""
    addresses = [ip_setting(word) for word in ip]
    server, failures = Server(), []
    image = guest.pack(guest.build(program), *arguments, net=setting, memory=memory, ip=addresses, **settings)

    def play():
        try:
            if server.line() != "serving":
                raise TestFailure("the program does not serve")
            scenario(server)
        except Exception as error:  # whatever it is, the test tells it
            failures.append(error)
        server.quit()

    with private_network():
        prepare()
        player = threading.Thread(target=play, daemon=True)
        player.start()
        network = net_arguments(setting, None, guest.machine, capture)
        result = guest.boot(image, memory=memory, stdin=server.next_command, on_output=server.on_output,
                            qemu=(*network, *device))
        player.join()
    for failure in failures:
        result.fail(f"{type(failure).__name__}: {failure}")
    return result.expect(status=0)
