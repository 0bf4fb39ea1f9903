# SPDX-License-Identifier: Apache-2.0
"""What a keep-alive HTTP request costs a guest: the web server of apps/http, asked by a client of this
machine through QEMU's user network. The counts are read from outside, while the guest runs."""
import contextlib
import dataclasses
import pathlib
import re
import selectors
import socket
import subprocess
import tempfile
import time

from atoll.bench.linux_guest import initial_files, linux_kernel, linux_modules
from atoll.bench.measure import MEMORY_MIB, SEED, Job, build_plugin, linux_command
from atoll.build import build_program, compile_program, locked
from atoll.demo import SOURCE
from atoll.errors import ToolError
from atoll.machine import DIE_WITH_PARENT, MachineOptions, qemu_command
from atoll.net import net_arguments
from atoll.options import DEFAULT_ENVIRONMENT, Settings
from atoll.pack import pack
from atoll.paths import ROOT, build_directory

INIT = ROOT / "bench" / "network" / "init.c"
GUEST_PORT = 80
CONNECTIONS = 16
WARM_UP, REQUESTS = 400, 4000
READY = b"serving port"
SECONDS_MAX = 120
# The driver of the network device, in the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net")
REQUEST = b"GET /hello HTTP/1.1\r\nHost: atoll\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _bytes_missing(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    return not end or len(body) < int(re.search(rb"\nContent-Length: (\d+)", head)[1])


class Client:
    """Connections that are kept; each asks again as soon as it has its answer."""

    def __init__(self, port):
        self._selector = selectors.DefaultSelector()
        self._sockets = [socket.create_connection(("127.0.0.1", port), SECONDS_MAX) for _ in range(CONNECTIONS)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer_bytes = self._first_answer()

    def _first_answer(self):
        """How long every answer is: what they say differs in no length."""
        for each in self._sockets:
            each.sendall(REQUEST)
            answer = b""
            while _bytes_missing(answer):
                piece = each.recv(65536)
                if not piece:
                    raise ToolError(f"the server closes the connection behind {answer!r}")
                answer += piece
            self._selector.register(each, selectors.EVENT_READ, [0])
        return len(answer)

    def ask(self, requests):
        asked = answered = 0
        for each in self._sockets:
            each.sendall(REQUEST)
            asked += 1
        while answered < requests:
            ready = self._selector.select(SECONDS_MAX)
            if not ready:
                raise ToolError(f"no answer for {SECONDS_MAX} s")
            for key, _ in ready:
                piece = key.fileobj.recv(65536)
                key.data[0] += len(piece)
                if not piece or key.data[0] > self._answer_bytes:
                    raise ToolError("an answer is not as the others")
                if key.data[0] == self._answer_bytes:
                    key.data[0] = 0
                    answered += 1
                    if asked < requests:
                        key.fileobj.sendall(REQUEST)
                        asked += 1

    def close(self):
        for each in self._sockets:
            each.close()


class Counters:
    """The plugin's socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")

    def ask(self, command):
        self._socket.sendall(command)
        return list(iter(lambda: self._lines.readline().strip(), b""))

    def read(self):
        """({core: instructions}, instructions `syscall` of all)"""
        rows = [tuple(map(int, line.split())) for line in self.ask(b"c")]
        return {core: count for core, count, _ in rows}, sum(calls for _, _, calls in rows)


def build_init():
    target = build_directory() / "bench" / "network-init"
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < INIT.stat().st_mtime:
            compile_program(["musl-gcc", "-std=gnu2x", "-O2", "-static", str(INIT), "-o", str(target)])
    return target


def make_network_job():
    return NetworkJob("network", build_program("http", SOURCE))


# @impl ATL-LLR-TOOL-0971~1
@dataclasses.dataclass(frozen=True)
class NetworkJob(Job):
    def measure(self, system, options):
        """Rows for one core and for all."""
        results = {}
        for cores in sorted({1, options.cores}):
            results |= self._measure_on(system, options, cores)
        return results

    def _measure_on(self, system, options, cores):
        with running(self, system, options, cores) as (client, counters):
            client.ask(WARM_UP)
            before, calls_before = counters.read()
            started = time.monotonic()
            client.ask(REQUESTS)
            seconds = time.monotonic() - started
            after, calls = counters.read()
        return rows_of(cores, [after[core] - before.get(core, 0) for core in after], calls - calls_before, seconds)


def rows_of(cores, used, calls, seconds):
    """used: the instructions of each core."""
    name = f"request, {cores} core{'s' if cores > 1 else ''}"
    rows = {name: (sum(used) / REQUESTS, 1e9 * seconds / REQUESTS),
            f"{name}: crossings by syscall": (round(calls / REQUESTS, 1), None),
            f"{name}: requests a second": (round(REQUESTS / seconds), None)}
    if cores > 1:
        rows[f"{name}: per cent of the busiest core"] = (round(100 * max(used) / sum(used)), None)
    return rows


@contextlib.contextmanager
def running(job, system, options, cores, *plugin_words):
    """A guest that serves: its Client and its Counters."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        port, control = free_port(), pathlib.Path(folder, "control")
        command = _guest_command(job, system, options, cores, port, pathlib.Path(folder, "image"))
        plugin = ",".join([str(build_plugin()), f"control={control}", *plugin_words])
        process = subprocess.Popen([*DIE_WITH_PARENT, *command, "-plugin", plugin], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            _wait_for(process, READY)
            client = Client(port)
            yield client, Counters(control)
            client.close()
        finally:
            process.kill()
            process.wait()


def _guest_command(job, system, options, cores, port, image):
    net = f"user,forward={port}:{GUEST_PORT}"
    if system == "linux":
        files = [(str(linux_modules() / f"{name}.ko"), f"/{name}.ko") for name in MODULES]
        image.write_bytes(initial_files(build_init(), [*files, (str(job.program), "/server")]))
        arguments = [*(path for _, path in files), "become", "/server", str(GUEST_PORT)]
        return linux_command(linux_kernel(), image, cores, arguments, net_arguments(net, None, "q35"))
    settings = Settings(ring=int(system[-1]), cores=cores, memory=MEMORY_MIB, machine="q35", seed=SEED, net=net,
                        environment=dict(DEFAULT_ENVIRONMENT), kernel=options.kernel, posix=options.posix)
    image.write_bytes(pack(job.program, [str(GUEST_PORT)], settings, framed=False))
    return qemu_command(MachineOptions(cores, MEMORY_MIB, "q35", net=net), image)


def _wait_for(process, text):
    seen = b""
    for piece in iter(lambda: process.stdout.read1(4096), b""):
        seen += piece
        if text in seen:
            return
    raise ToolError(f"the server does not start:\n{seen[-2000:].decode('utf-8', 'replace')}")
