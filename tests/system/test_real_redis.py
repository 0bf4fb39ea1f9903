# SPDX-License-Identifier: Apache-2.0
"""Redis as a server for redis-benchmark and redis-cli of this machine; on two cores with a second
thread for its sockets."""
# @verifies ATL-HLR-REAL-0010~1
import csv
import random

import lib
import real
import servers

REQUESTS, CLIENTS, PIPELINED = 400, 20, 16
TESTS = "set", "get", "lpush", "mset"
VALUE_BYTES = 3 << 20
SCRIPT = "local sum = 0 for i = 1, ARGV[1] do sum = sum + redis.call('INCR', KEYS[1]) end return sum"


def cli(*words, stdin=None):
    return servers.run_client("redis-cli", "-h", servers.ADDRESS_6, *words, stdin=stdin)


def expect(answer, wanted):
    if answer != wanted:
        raise AssertionError(f"the answer is {answer[:200]!r}, not {wanted[:200]!r}")


def benchmark(*options):
    """Every test is there in the end, with a rate."""
    lines = servers.run_client("redis-benchmark", "-h", servers.ADDRESS_4, "--csv", "-c", CLIENTS, *options).decode()
    rows = list(csv.DictReader(line for line in lines.splitlines() if line.startswith('"')))
    if not rows or not all(float(row["rps"]) > 0 for row in rows):
        raise AssertionError(lines)
    return len(rows)


def values():
    value = random.Random(3).randbytes(VALUE_BYTES)
    expect(cli("-x", "set", "large", stdin=value), b"OK\n")
    expect(cli("--raw", "get", "large"), value + b"\n")
    expect(cli("eval", SCRIPT, "1", "counted", "100"), b"5050\n")
    expect(cli("hset", "island", "name", "atoll", "palms", "7"), b"2\n")
    expect(cli("hget", "island", "palms"), b"7\n")
    expect(cli("set", "short", "lived", "px", "1"), b"OK\n")
    expect(cli("get", "short"), b"\n")
    expect(cli("save"), b"OK\n")
    expect(cli("bgsave")[:3], b"ERR")  # that takes a second process


def clients(has_threads):
    values()
    if benchmark("-n", REQUESTS, "-t", ",".join(TESTS)) != len(TESTS):
        raise AssertionError("a test of redis-benchmark is missing")
    benchmark("-n", REQUESTS * 10, "-P", PIPELINED, "-t", "set,get")
    information = cli("info", "everything").decode()
    if "multiplexing_api:epoll" not in information or "rejected_connections:0" not in information:
        raise AssertionError(information)
    if has_threads != ("io_threaded_reads_processed:0\r" not in information):
        raise AssertionError(f"threads read: {has_threads}; {information}")


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=120)
def test_redis(guest):
    program = real.build("redis").folder / "program"
    # Its threads wait for each other by spinning: QEMU's cores must not be more than this machine's.
    threads = ("--io-threads", "2", "--io-threads-do-reads", "yes")
    has_threads = guest.cores == 2
    arguments = ("--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir", "/tmp",
                 *(threads if has_threads else ()))
    server = servers.Server(program, arguments, ready=b"Ready to accept connections", memory=512)
    result = servers.serve(guest, server, lambda: clients(has_threads)).expect(status=0)
    result.expect_that(b"Redis is now ready to exit" in result.stdout, "it ends as it is told")
