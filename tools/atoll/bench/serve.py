# SPDX-License-Identifier: Apache-2.0
"""A guest that serves on a tap in a network of its own: Atoll in either ring or Linux, with the same static program, the
same files, the same machine; and the counts of its instructions while it serves."""
import contextlib
import dataclasses
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

from atoll.address import ip_setting
from atoll.bench.linux_guest import initial_files, linux_kernel, linux_modules
from atoll.bench.measure import SEED, build_plugin, linux_command
from atoll.build import build_image_parts, compile_program, locked
from atoll.errors import ToolError
from atoll.machine import DIE_WITH_PARENT, MachineOptions, qemu_command
from atoll.namespace import add_tap, private_network
from atoll.net import net_arguments, net_settings
from atoll.options import DEFAULT_ENVIRONMENT, Settings
from atoll.pack import pack
from atoll.paths import ROOT, build_directory

INIT = ROOT / "bench" / "network" / "init.c"
ADDRESS, PEER = "10.9.0.2", "10.9.0.1/24"
SECOND, SECOND_PEER = "10.8.0.2", "10.8.0.1/24"  # of a second device
TAPS, MAC = ("guest", "other"), "52:54:00:12:34:56"
MEMORY_MIB = 256
SECONDS_MAX = 120
TRY_SECONDS = 0.1
# The driver of the network device, in the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "failover",
           "net_failover", "virtio_net")


@dataclasses.dataclass(frozen=True)
class Server:
    """A static program. ready: what it prints when it serves; None: its port, where it says nothing."""
    program: pathlib.Path
    arguments: tuple
    ready: bytes | None
    port: int | None
    files: tuple = ()
    devices: int = 1


class Console:
    """What a guest has printed: read at all times, so that it never waits for somebody who does."""

    def __init__(self, stream):
        self._text, self._more, self._has_ended = bytearray(), threading.Condition(), False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream):
        while piece := stream.read1(4096):
            self._add(piece)
        self._add(b"", True)

    def _add(self, piece, has_ended=False):
        with self._more:
            self._text += piece
            self._has_ended = has_ended
            self._more.notify_all()

    def tail(self):
        return self._text[-2000:].decode("utf-8", "replace")

    def has_ended(self):
        return self._has_ended

    def wait_for(self, text, count=1):
        """Until it has printed the text so often; ToolError if it never does."""
        with self._more:
            self._more.wait_for(lambda: self._has_ended or self._text.count(text) >= count, SECONDS_MAX)
            if self._text.count(text) < count:
                raise ToolError(f"the guest does not print {text!r}:\n{self.tail()}")


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
        """({core: instructions}, ways into the kernel by call of all)"""
        rows = [tuple(map(int, line.split())) for line in self.ask(b"c")]
        return {core: count for core, count, _ in rows}, sum(calls for _, _, calls in rows)


@contextlib.contextmanager
def serving(server, system, options, cores, counts=True, words=()):
    """(its Console, its Counters or None) while a guest serves; what the caller starts meanwhile is in its network.
    words: further ones for the plugin."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder, private_network():
        taps = TAPS[:server.devices]
        for tap, peer in zip(taps, (PEER, SECOND_PEER)):
            add_tap(tap, peer, several=cores > 1)
        net = net_settings([f"tap={tap}" + (f",queues={cores}" if cores > 1 else "") for tap in taps])
        command, entry = _guest_command(server, system, options, cores, net, pathlib.Path(folder, "image"))
        control = pathlib.Path(folder, "control")
        if counts:
            command += ["-plugin", ",".join([str(build_plugin()), f"control={control}", *entry, *words])]
        process = subprocess.Popen([*DIE_WITH_PARENT, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        try:
            console = Console(process.stdout)
            _wait_until_ready(server, console)
            yield console, Counters(control) if counts else None
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(server, console):
    if server.ready is not None:
        console.wait_for(server.ready)
        return
    deadline = time.monotonic() + SECONDS_MAX
    while not console.has_ended() and time.monotonic() < deadline:
        try:
            socket.create_connection((ADDRESS, server.port), SECONDS_MAX).close()
            return
        except OSError:
            time.sleep(TRY_SECONDS)
    raise ToolError(f"nothing listens on port {server.port} of the guest:\n{console.tail()}")


# @impl ATL-LLR-TOOL-1020~1
def _guest_command(server, system, options, cores, net, image):
    """(QEMU's command line, words for the plugin by which it knows a call of the kernel)"""
    if system == "linux":
        files = [(str(linux_modules() / f"{name}.ko"), f"/{name}.ko") for name in MODULES]
        image.write_bytes(initial_files(_build_init(), [*files, (str(server.program), "/server"), *server.files]))
        addresses = ",".join((ADDRESS, SECOND)[:server.devices])
        arguments = [*(path for _, path in files), "become", addresses, "/server", *server.arguments]
        return linux_command(linux_kernel(), image, cores, arguments, net_arguments(net, MAC, "q35")), []
    kernel, posix = build_image_parts(net="tap")
    settings = Settings(ring=int(system[-1]), cores=cores, memory=MEMORY_MIB, machine="q35", seed=SEED, net=net,
                        ip=[ip_setting(f"{ADDRESS}/24"), ip_setting(f"eth1={SECOND}/24")][:server.devices], environment=dict(DEFAULT_ENVIRONMENT),
                        files=list(server.files), kernel=options.kernel or str(kernel),
                        posix=options.posix or str(posix))
    image.write_bytes(pack(server.program, list(server.arguments), settings, framed=False))
    return qemu_command(MachineOptions(cores, MEMORY_MIB, "q35", net=net, mac=MAC), image), [f"entry={_entry(settings.kernel)}"]


def _entry(kernel):
    """Where every call of the gate begins in a kernel, in hexadecimal."""
    symbols = subprocess.run(["nm", kernel], capture_output=True, text=True, check=True).stdout
    return next(line.split()[0] for line in symbols.splitlines() if line.endswith(" gate_entry"))


def _build_init():
    target = build_directory() / "bench" / "network-init"
    with locked(target.parent):
        if not target.exists() or target.stat().st_mtime < INIT.stat().st_mtime:
            compile_program(["musl-gcc", "-std=gnu2x", "-O2", "-static", str(INIT), "-o", str(target)])
    return target
