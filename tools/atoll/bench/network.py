# SPDX-License-Identifier: Apache-2.0
"""What real servers and the one of apps/http cost a guest, and how fast they are, under the load generators of this
machine: one core and all, by a tap."""
import contextlib
import dataclasses

from atoll.bench import load
from atoll.bench.load import Load
from atoll.bench.measure import Job
from atoll.bench.serve import ADDRESS, MAC, TAPS, Server, serving
from atoll.build import build_program
from atoll.demo import SOURCE
from atoll.paths import ROOT
from atoll.recipes import build

FOLDER = ROOT / "bench" / "network"
CLOSE = "Connection: close"
# Seconds, requests, KiB, by what the generator counts: to warm up, counted, timed.
SECONDS, REQUESTS, KIB, FRAMES = (1, 4, 3), (1600, 8000, 16000), (4096, 32768, 65536), (2000, 20000, 40000)
FORWARDER = ROOT / "apps" / "forwarder" / "forwarder.c"
NEIGHBOURS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
# Of an operation; the first is the row's own.
CROSSINGS, RATE, MEDIAN, SLOW, BUSIEST = ("gate crossings", "a second", "microseconds, median",
                                          "microseconds, 99 of 100", "per cent of the busiest core")
METRICS = (CROSSINGS, BUSIEST, RATE, MEDIAN, SLOW)


def _file(name):
    return str(FOLDER / name)


def _real(name, arguments, ready, port, *files):
    return Server(build(name).folder / "program", arguments, ready, port, files)


def web_server(cores):
    return Server(build_program("http", SOURCE), ("80",), b"serving port", 80)


def _nginx(cores):
    return _real("nginx", (), b"getrlimit", 80, (_file("nginx.conf"), "/srv/nginx.conf"),
                 (_file("index.html"), "/srv/site/index.html"))


def _memcached(cores):
    return _real("memcached", ("-u", "root", "-t", str(cores)), None, 11211)


def _redis(cores):
    return _real("redis", ("/srv/redis.conf",), b"Ready to accept connections", 6379,
                 (_file("redis.conf"), "/srv/redis.conf"))


def _iperf3(cores):
    return _real("iperf3", ("5201",), b"Server listening", 5201)


def _forwarder(cores):
    places = tuple(f"eth{number}={each}" for number, each in enumerate(NEIGHBOURS))
    return Server(build_program("forwarder", FORWARDER), places, b"forwarding", None, devices=2)


# Name for --program -> (the Server for so many cores, its loads).
SERVERS = {
    "http": (web_server, (Load("own server: request", load.http("/hello"), *SECONDS),
                     Load("own server: connection and request", load.http("/hello", CLOSE), *SECONDS))),
    "nginx": (_nginx, (Load("nginx: request", load.http("/index.html"), *SECONDS),
                       Load("nginx: connection and request", load.http("/index.html", CLOSE), *SECONDS))),
    "memcached": (_memcached, (Load("memcached: set", load.memcached("set"), *REQUESTS),
                               Load("memcached: get", load.memcached("get"), *REQUESTS))),
    "redis": (_redis, (Load("redis: set", load.redis("set"), *REQUESTS),
                       Load("redis: get", load.redis("get"), *REQUESTS))),
    "iperf3": (_iperf3, (Load("iperf3: KiB to the guest", load.iperf3(), *KIB),
                         Load("iperf3: KiB from the guest", load.iperf3("-R"), *KIB))),
    "forwarder": (_forwarder, (Load("forwarder: frame of 64 bytes", load.frames(TAPS, MAC, *NEIGHBOURS), *FRAMES),)),
}


def make_network_job(name):
    return NetworkJob(name, None)


# @impl ATL-LLR-TOOL-0971~2
@dataclasses.dataclass(frozen=True)
class NetworkJob(Job):
    is_exact: bool = False

    def measure(self, system, options):
        """Rows for one core and for all."""
        results = {}
        for cores in sorted({1, options.cores}):
            results |= measure_server(*SERVERS[self.name], system, options, cores)
        return results


def measure_server(make, loads, system, options, cores):
    """Counts in one guest, times in another: counting takes time."""
    server = make(cores)
    with serving(server, system, options, cores) as (console, counters):
        again = _waiter(server, console)
        used = [_used(each, counters, again) for each in loads]
    with serving(server, system, options, cores, counts=False) as (console, _):
        again = _waiter(server, console)
        done = []
        for each in loads:
            again()
            done.append(each.run(each.timed, ADDRESS))
    results = {}
    for each, use, timed in zip(loads, used, done):
        results |= rows_of(f"{each.title}, {cores} core{'s' if cores > 1 else ''}", *use, timed)
    return results


def _waiter(server, console):
    """To be called before each use of a server that says for each when it is ready."""
    if server.ready != b"Server listening":
        return lambda: None
    uses = []

    def wait():
        uses.append(None)
        console.wait_for(server.ready, len(uses))
    return wait


def _used(each, counters, again):
    """(instructions of each core, calls, operations)"""
    again()
    each.run(each.warm_up, ADDRESS)
    again()
    before, calls_before = counters.read()
    done = each.run(each.counted, ADDRESS)
    after, calls = counters.read()
    return [after[core] - before.get(core, 0) for core in sorted(after)], calls - calls_before, done.operations


def rows_of(name, instructions, calls, operations, timed):
    """instructions: of each core; calls: into the kernel."""
    total = sum(instructions)
    rows = {name: (total / operations, 1e9 * timed.seconds / timed.operations),
            f"{name}: {CROSSINGS}": (round(calls / operations, 2), None)}
    if len(instructions) > 1:
        rows[f"{name}: {BUSIEST}"] = (round(100 * max(instructions) / total), None)
    rows[f"{name}: {RATE}"] = (round(timed.operations / timed.seconds), None)
    if timed.median_us is not None:
        rows |= {f"{name}: {MEDIAN}": (round(timed.median_us), None), f"{name}: {SLOW}": (round(timed.slow_us), None)}
    return rows


@contextlib.contextmanager
def profiled(system, options, cores):
    """A guest with the server of apps/http whose blocks are counted: (call to ask it for a while, its Counters)."""
    with serving(web_server(cores), system, options, cores, words=("profile=on",)) as (_, counters):
        yield (lambda seconds: SERVERS["http"][1][0].run(seconds, ADDRESS).operations), counters
