# SPDX-License-Identifier: Apache-2.0
"""Servers in a guest, and clients on this machine that reach them on a tap, or through QEMU's user network: each
server runs until its clients are content and Ctrl-C is typed at its terminal."""
import dataclasses
import queue
import socket
import subprocess
import threading

import lib
import real
from atoll.address import ip_setting
from atoll.namespace import add_tap, private_network
from atoll.net import net_arguments, net_settings

CLIENT_SECONDS_MAX = 60
CTRL_C = b"\x03"  # the terminal shows it as ^C
INPUT_IS_TERMINAL = (1, 24, 80, 0)
ADDRESS_4, ADDRESS_6 = "10.9.0.2", "fd09::2"
PEER_4, PEER_6 = "10.9.0.1/24", "fd09::1/64"


def free_port():
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def run_client(*words, stdin=None, status=0):
    """Runs a program of this machine, which must end with the status; its output."""
    try:
        done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True,
                              timeout=CLIENT_SECONDS_MAX)
    except FileNotFoundError:
        raise lib.TestFailure(f"{words[0]} is missing: ./atoll setup") from None
    if done.returncode != status:
        raise AssertionError(f"{words} ends with {done.returncode}: {done.stdout[-500:]} "
                             f"{done.stderr[-500:]}")
    return done.stdout


def side_by_side(*calls):
    """Makes the calls in a thread each. What the first to fail raises is raised."""
    wrong = []

    def run(call):
        try:
            call()
        except Exception as error:  # whatever it is, the caller gets it
            wrong.append(error)
    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]


class Console:
    """What a server has printed."""

    def __init__(self):
        self._text, self._more = bytearray(), threading.Condition()

    def add(self, data):
        with self._more:
            self._text += data
            self._more.notify_all()

    def wait_for(self, text, count=1):
        """Waits until it has printed the text so often."""
        with self._more:
            if not self._more.wait_for(lambda: self._text.count(text) >= count, CLIENT_SECONDS_MAX):
                raise AssertionError(f"{text!r} is not printed {count} times: {bytes(self._text[-500:])!r}")


@dataclasses.dataclass
class Server:
    """A program and how it is started. ready: what it prints when it serves."""
    program: object
    arguments: tuple
    ready: bytes
    memory: int = 256
    files: tuple = ()
    console: Console = dataclasses.field(default_factory=Console)
    keys: queue.Queue = dataclasses.field(default_factory=queue.Queue)  # what is typed at its terminal


def serve(guest, server, clients):
    """Boots the server on a tap, at ADDRESS_4 and ADDRESS_6 of a network of its own, and calls clients() in that network
    once it is ready. The Result, when the server has ended by itself."""
    addresses = [ip_setting(f"{ADDRESS_4}/24"), ip_setting(f"{ADDRESS_6}/64")]
    with private_network():
        add_tap("guest", PEER_4, PEER_6)
        return _serve(guest, server, clients, "tap=guest", ip=addresses)


def serve_forwarded(guest, server, clients, port, qemu=(), before=(), change=tuple):
    """The same through QEMU's user network: clients(here) with the port of this machine that is the server's port. qemu:
    more arguments of the machine; before: settings of devices before that one; change(arguments of the devices): what they are
    instead."""
    here = free_port()
    return _serve(guest, server, lambda: clients(here), net_settings([*before, f"user,forward={here}:{port}"]), qemu,
                  change)


def _serve(guest, server, clients, net, qemu=(), change=tuple, **settings):
    wrong = []

    def run_clients():
        try:
            server.console.wait_for(server.ready)
            clients()
        except Exception as error:  # whatever it is, the test tells it
            wrong.append(repr(error))
        server.keys.put(CTRL_C)

    image = guest.pack(server.program, *server.arguments, net=net, memory=server.memory,
                       files=list(server.files), terminal=INPUT_IS_TERMINAL,
                       environment=real.ENVIRONMENT, **settings)
    threading.Thread(target=run_clients, daemon=True).start()
    result = guest.boot(image, memory=server.memory, on_output=server.console.add,
                        on_error=server.console.add, stdin=server.keys.get,
                        qemu=(*change(net_arguments(net, None, guest.machine)), *qemu))
    return result.expect_that(not wrong, f"the clients are content: {wrong}")
