# SPDX-License-Identifier: Apache-2.0
"""Load generators of this machine, asked for an amount, and what they say of it. Those that count operations are
given a number of them, those that go by the clock seconds."""
import csv
import dataclasses
import json
import re
import subprocess

from atoll.build import build_program
from atoll.errors import ToolError
from atoll.paths import ROOT

FRAMES = ROOT / "bench" / "network" / "frames.c"
CONNECTIONS = 16
WEB_CONNECTIONS = 64  # as users of wrk have; few are dealt unevenly to cores by their hash
CLIENT_SECONDS_MAX = 300
LOST_MAX = 0.05  # of the frames to a forwarder
MICROSECONDS = {"us": 1, "ms": 1000, "s": 1000000}
KIB = 1024


@dataclasses.dataclass(frozen=True)
class Done:
    """Operations and the seconds that they took; of one in the middle, and of all but the slowest hundredth, how long
    it took at most, in microseconds (None: the generator does not say)."""
    operations: int
    seconds: float
    median_us: float | None = None
    slow_us: float | None = None


@dataclasses.dataclass(frozen=True)
class Load:
    """run(amount, address): Done. The others are amounts."""
    title: str
    run: object
    warm_up: float
    counted: float
    timed: float


def _run(*words):
    try:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=CLIENT_SECONDS_MAX)
    except FileNotFoundError:
        raise ToolError(f"{words[0]} is missing", "install what tests need: ./atoll setup") from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{words[0]} does not end: does the server answer?") from None
    if done.returncode != 0:
        raise ToolError(f"{' '.join(map(str, words))} fails:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


# @impl ATL-LLR-TOOL-1021~1
def parse_wrk(text):
    """ToolError if any answer was bad."""
    latencies = {int(match[1]): float(match[2]) * MICROSECONDS[match[3]]
                 for match in re.finditer(r"^ +(50|99)% +([\d.]+)(us|ms|s) *$", text, re.M)}
    total = re.search(r"(\d+) requests in ([\d.]+)(s|m)", text)
    if total is None or len(latencies) != 2 or "errors" in text or "Non-2xx" in text:
        raise ToolError(f"wrk is not content:\n{text[-1000:]}")
    return Done(int(total[1]), float(total[2]) * (60 if total[3] == "m" else 1), latencies[50], latencies[99])


def http(path, *headers):
    """wrk's run()."""
    words = [word for header in headers for word in ("-H", header)]
    return lambda seconds, address: parse_wrk(_run(
        "wrk", "-t1", f"-c{WEB_CONNECTIONS}", f"-d{seconds}", "--timeout", "30", "--latency", *words,
        f"http://{address}:80{path}"))


# @impl ATL-LLR-TOOL-1021~1
def parse_redis(text, requests):
    rows = list(csv.DictReader(line for line in text.splitlines() if line.startswith('"')))
    if len(rows) != 1:
        raise ToolError(f"redis-benchmark does not tell one result:\n{text[-1000:]}")
    median, slow = (1000 * float(rows[0][name]) for name in ("p50_latency_ms", "p99_latency_ms"))
    return Done(requests, requests / float(rows[0]["rps"]), median, slow)


def redis(test):
    return lambda requests, address: parse_redis(_run(
        "redis-benchmark", "-h", address, "--csv", "-c", CONNECTIONS, "-n", requests, "-t", test), requests)


# @impl ATL-LLR-TOOL-1021~1
def parse_memcached(text):
    """Every key that is set or asked for is an operation, also those that are set before they are asked for."""
    parts = [(int(match[1]), float(match[2])) for match in
             re.finditer(r"^Time to [gs]et +(\d+) keys(?: by +\d+ threads)?: +([\d.]+) seconds", text, re.M)]
    if not parts:
        raise ToolError(f"memcslap does not tell its result:\n{text[-1000:]}")
    return Done(sum(operations for operations, _ in parts), sum(seconds for _, seconds in parts))


def memcached(test):
    return lambda requests, address: parse_memcached(_run(
        "memcslap", "-s", address, "-t", test, "-c", CONNECTIONS, "-e", requests // CONNECTIONS))


# @impl ATL-LLR-TOOL-1021~1
def parse_iperf3(text):
    report = json.loads(text)
    if "error" in report:
        raise ToolError(f"iperf3: {report['error']}")
    received = report["end"]["sum_received"]
    return Done(round(received["bytes"] / KIB), received["seconds"])


# @impl ATL-LLR-TOOL-1022~2
def parse_frames(text):
    count, seconds, lost = re.fullmatch(r"(\d+) frames in ([\d.]+) s, (\d+) lost\n", text).groups()
    if int(lost) > LOST_MAX * int(count):
        raise ToolError(f"too many frames are lost: {text}")
    return Done(int(count), float(seconds))


def frames(interfaces, mac, one, other):
    """From one of the forwarder's neighbours to the other, each behind an interface."""
    def run(count, address):
        program = build_program("frames", FRAMES)
        return parse_frames(_run(program, *interfaces, mac, one, other, count))
    return run


def iperf3(*options):
    return lambda kib, address: parse_iperf3(_run("iperf3", "-c", address, "--json", "-n", kib * KIB, *options))
