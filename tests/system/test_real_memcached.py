# SPDX-License-Identifier: Apache-2.0
"""memcached with four threads as a server for memcslap of this machine, and for clients that look at every
byte of its text protocol."""
# @verifies ATL-HLR-REAL-0010~1
import random
import re
import socket

import lib
import real
import servers

PORT, THREADS = 11211, 4
CLIENTS, KEYS = 8, 40
LARGE_BYTES = 900_000
LOAD_CLIENTS, LOAD_REQUESTS = 4, 150


class Client:
    """A connection, and what is said on it."""

    def __init__(self, address):
        self._socket = socket.create_connection((address, PORT), servers.CLIENT_SECONDS_MAX)
        self._file = self._socket.makefile("rwb")

    def ask(self, request, *answer):
        """Sends a request, which has these lines as its answer."""
        self._file.write(request)
        self._file.flush()
        for line in answer:
            got = self._file.read(len(line) + 2)
            if got != line + b"\r\n":
                raise AssertionError(f"{request[:80]!r} is answered by {got[:80]!r}, not {line[:80]!r}")

    def lines(self, request):
        """The lines of an answer that ends with END."""
        self._file.write(request)
        self._file.flush()
        return list(iter(self._file.readline, b"END\r\n"))

    def close(self):
        self._file.close()
        self._socket.close()


def talk(address, number):
    client, source = Client(address), random.Random(number)
    values = {b"%d.%d" % (number, key): source.randbytes(source.randrange(3000)) for key in range(KEYS)}
    for key, value in values.items():
        client.ask(b"set %b %d 0 %d\r\n%b\r\n" % (key, number, len(value), value), b"STORED")
    wanted = [part for key, value in values.items() for part in (b"VALUE %b %d %d" % (key, number, len(value)), value)]
    client.ask(b"get " + b" ".join(values) + b"\r\n", *wanted, b"END")
    client.ask(b"add %d.0 0 0 1\r\nx\r\n" % number, b"NOT_STORED")
    for count in range(1, KEYS):
        client.ask(b"incr all 1 noreply\r\nincr own%d 1\r\n" % number,
                   b"NOT_FOUND" if count == 1 else b"%d" % (count - 1))
        if count == 1:
            client.ask(b"set own%d 0 0 1\r\n0\r\n" % number, b"STORED")
    client.close()


def large_value(address):
    client, value = Client(address), random.Random(5).randbytes(LARGE_BYTES)
    client.ask(b"set large 0 0 %d\r\n%b\r\n" % (LARGE_BYTES, value), b"STORED")
    client.ask(b"get large\r\n", b"VALUE large 0 %d" % LARGE_BYTES, value, b"END")
    client.ask(b"delete large\r\nget large\r\n", b"DELETED", b"END")
    client.close()


def clients():
    first = Client(servers.ADDRESS_4)
    first.ask(b"set all 0 0 1\r\n0\r\n", b"STORED")
    both = (servers.ADDRESS_4, servers.ADDRESS_6)
    servers.side_by_side(*(lambda n=number: talk(both[n % 2], n) for number in range(CLIENTS)),
                         *(lambda a=address: large_value(a) for address in both[:1]))
    total = b"%d" % (CLIENTS * (KEYS - 1))
    first.ask(b"get all\r\n", b"VALUE all 0 %d" % len(total), total, b"END")
    for test in ("set", "get"):
        report = servers.run_client("memcslap", "-s", servers.ADDRESS_4, "-t", test, "-c", LOAD_CLIENTS, "-e",
                                    LOAD_REQUESTS).decode()
        if not re.search(rf"(?i)\b{LOAD_CLIENTS}\b.*thread", report):
            raise AssertionError(report)
    statistics = dict(line.split()[1:3] for line in first.lines(b"stats\r\n"))
    if statistics[b"threads"] != b"%d" % THREADS or int(statistics[b"cmd_set"]) < LOAD_CLIENTS * LOAD_REQUESTS:
        raise AssertionError(statistics)
    first.close()


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=120)
def test_memcached(guest):
    program = real.build("memcached").folder / "program"
    server = servers.Server(program, ("-u", "root", "-t", str(THREADS), "-vv"), ready=b"server listening")
    result = servers.serve(guest, server, clients).expect(status=0)
    result.expect_that(b"Exiting normally" in result.stderr, "it ends as it is told")
