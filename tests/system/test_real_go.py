# SPDX-License-Identifier: Apache-2.0
"""Go's net/http as a server for this machine's curl."""
# @verifies ATL-HLR-REAL-0010~1
import hashlib
import random

import lib
import real
import servers

BODY_BYTES = 10 << 20
CLIENTS, REQUESTS = 4, 12


def generated(count, seed):
    """What /give/COUNT/SEED gives."""
    data = bytearray(count)
    for index in range(count):
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        data[index] = seed >> 24
    return bytes(data)


def many_requests(port, client):
    """A client that keeps its connection: it makes one for all its requests."""
    words = []
    for number in range(REQUESTS):
        words += [f"http://127.0.0.1:{port}/hello?{client}.{number}", "-w", "%{http_code}+%{num_connects}\n"]
    lines = servers.run_client("curl", "-sS", *words).decode().splitlines()
    wanted = []
    for number in range(REQUESTS):
        wanted += [f"hello {client}.{number}", f"200+{int(number == 0)}"]
    if lines != wanted:
        raise AssertionError(f"client {client} got {lines}")


def large_bodies(port):
    body = random.Random(port).randbytes(BODY_BYTES)
    curl = ("curl", "-sS", "-f", "--data-binary", "@-", "-H", "Content-Type: application/octet-stream")
    digest = servers.run_client(*curl, f"http://127.0.0.1:{port}/take", stdin=body)
    if digest.decode() != f"{BODY_BYTES} {hashlib.sha256(body).hexdigest()}\n":
        raise AssertionError(f"the server was sent {digest!r}")
    if servers.run_client(*curl, f"http://127.0.0.1:{port}/echo", stdin=body) != body:
        raise AssertionError("the body did not come back as it was sent")
    given = servers.run_client("curl", "-sS", "-f", f"http://127.0.0.1:{port}/give/300000/{port}")
    if given != generated(300000, port):
        raise AssertionError("the body that was asked for is another")


def clients(port):
    servers.side_by_side(*(lambda n=number: many_requests(port, n) for number in range(CLIENTS)),
                         lambda: large_bodies(port))


@lib.system_test(matrix=lib.PAIRWISE, libc=("none",), timeout_s=120)
def test_net_http(guest):
    program = real.build("go_web").folder / "go_web"
    server = servers.Server(program, (":80",), ready=b"ready", ports=(80,), memory=512)
    result = servers.serve(guest, server, clients)
    requests, connections = CLIENTS * REQUESTS + 3, CLIENTS + 3
    wanted = f"serving [::]:80\nready\n^C{requests} requests on {connections} connections\n"
    result.expect(stdout=wanted.encode(), status=0)
