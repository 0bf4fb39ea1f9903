# SPDX-License-Identifier: Apache-2.0
"""Go's net/http as a server for this machine's curl, through QEMU's user network and on a tap."""
# @verifies ATL-HLR-REAL-0010~1
import hashlib
import random

import lib
import real
import servers

BODY_BYTES = 10 << 20
CLIENTS, REQUESTS = 4, 12
SEED = 77


def generated(count, seed):
    """What /give/COUNT/SEED gives."""
    data = bytearray(count)
    for index in range(count):
        seed = (seed * 1664525 + 1013904223) & 0xffffffff
        data[index] = seed >> 24
    return bytes(data)


def many_requests(place, client):
    """A client that keeps its connection: it makes one for all its requests."""
    words = []
    for number in range(REQUESTS):
        words += [f"http://{place}/hello?{client}.{number}", "-w", "%{http_code}+%{num_connects}\n"]
    lines = servers.run_client("curl", "-sS", *words).decode().splitlines()
    wanted = []
    for number in range(REQUESTS):
        wanted += [f"hello {client}.{number}", f"200+{int(number == 0)}"]
    if lines != wanted:
        raise AssertionError(f"client {client} got {lines}")


def large_bodies(place):
    body = random.Random(place).randbytes(BODY_BYTES)
    curl = ("curl", "-sS", "-f", "--data-binary", "@-", "-H", "Content-Type: application/octet-stream")
    digest = servers.run_client(*curl, f"http://{place}/take", stdin=body)
    if digest.decode() != f"{BODY_BYTES} {hashlib.sha256(body).hexdigest()}\n":
        raise AssertionError(f"the server was sent {digest!r}")
    if servers.run_client(*curl, f"http://{place}/echo", stdin=body) != body:
        raise AssertionError("the body did not come back as it was sent")
    given = servers.run_client("curl", "-sS", "-f", f"http://{place}/give/300000/{SEED}")
    if given != generated(300000, SEED):
        raise AssertionError("the body that was asked for is another")


def clients(*places):
    """One that sends much, beside those that ask often, at each place."""
    calls = []
    for place in places:
        calls.append(lambda p=place: large_bodies(p))
        calls += [lambda p=place, n=number: many_requests(p, n) for number in range(CLIENTS // len(places))]
    servers.side_by_side(*calls)


def expect_served(result, large_count):
    requests, connections = CLIENTS * REQUESTS + 3 * large_count, CLIENTS + 3 * large_count
    wanted = f"serving [::]:80\nready\n^C{requests} requests on {connections} connections\n"
    result.expect(stdout=wanted.encode(), status=0)


def server():
    return servers.Server(real.build("go_web").folder / "go_web", (":80",), ready=b"ready", memory=512)


@lib.system_test(matrix=lib.PAIRWISE, libc=("none",), timeout_s=120)
def test_forwarded(guest):
    result = servers.serve_forwarded(guest, server(), lambda port: clients(f"127.0.0.1:{port}"), 80)
    expect_served(result, 1)


@lib.system_test(matrix=lib.PAIRWISE, libc=("none",), timeout_s=120)
def test_both_families(guest):
    """Clients by IPv4 and by IPv6 at the same time."""
    places = (f"{servers.ADDRESS_4}:80", f"[{servers.ADDRESS_6}]:80")
    expect_served(servers.serve(guest, server(), lambda: clients(*places)), 2)
