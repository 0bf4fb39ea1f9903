# SPDX-License-Identifier: Apache-2.0
"""Servers in a guest, and clients on this machine that reach them through QEMU's user network: each
server runs until its clients are content and Ctrl-C is typed at its terminal."""
import dataclasses
import queue
import socket
import subprocess
import threading

import lib
import real
from atoll.net import net_arguments

CLIENT_SECONDS_MAX = 60
CTRL_C = b"\x03"  # the terminal shows it as ^C
INPUT_IS_TERMINAL = (1, 24, 80, 0)


def free_ports(count):
    """Ports of this machine that nobody has."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


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


@dataclasses.dataclass
class Server:
    """A program and how it is started. ready: what it prints when it serves; ports: those of the guest
    that clients reach."""
    program: object
    arguments: tuple
    ready: bytes
    ports: tuple
    memory: int = 256
    files: tuple = ()


def serve(guest, server, clients):
    """Boots the server and calls clients(*ports) with ports of this machine once it is ready. The
    Result, when the server has ended by itself."""
    ports = free_ports(len(server.ports))
    net = ",".join(["user", *(f"forward={here}:{there}" for here, there in zip(ports, server.ports))])
    keys, wrong, seen = queue.Queue(), [], bytearray()

    def run_clients():
        try:
            clients(*ports)
        except Exception as error:  # whatever it is, the test tells it
            wrong.append(repr(error))
        keys.put(CTRL_C)

    def on_output(data):
        was_ready = server.ready in seen
        seen.extend(data)
        if not was_ready and server.ready in seen:
            threading.Thread(target=run_clients, daemon=True).start()

    image = guest.pack(server.program, *server.arguments, net=net, memory=server.memory,
                       files=list(server.files), terminal=INPUT_IS_TERMINAL,
                       environment=real.ENVIRONMENT)
    result = guest.boot(image, memory=server.memory, on_output=on_output, stdin=keys.get,
                        qemu=net_arguments(net, None, guest.machine))
    return result.expect_that(not wrong, f"the clients are content: {wrong}")
