# SPDX-License-Identifier: Apache-2.0
"""One QEMU: its command line, its life, and the two ends of its console."""
import collections
import contextlib
import dataclasses
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from atoll.console import (STREAM_ERROR, STREAM_EXIT, STREAM_KERNEL_ERROR, STREAM_LOG, STREAM_OUTPUT,
                           Decoder, ExitRecord, encode_input)
from atoll.errors import ToolError
from atoll.neighbour import neighbour_device
from atoll.net import net_arguments

QEMU = "qemu-system-x86_64"
MACHINES = ("q35", "microvm")
CONSOLES = ("serial", "virtio")
LOG_PORT = "atoll.log"  # kernel/virtio/console.h
CORES_MAX = 64
LEAVE_SECONDS = 2.0   # from the exit record, and from the end of its output, to the end of QEMU
INPUT_SECONDS = 5.0   # input starts now even without a frame
LOG_PIECES_MAX = 4096
# A killed tool must not leave a QEMU behind: the kernel ends it with its parent thread.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"]


@dataclasses.dataclass
class MachineOptions:
    cores: int = 1
    memory_mib: int = 128
    machine: str = "microvm"
    extra: tuple = ()
    timeout_s: float | None = None
    qemu: str = QEMU
    console: str = "serial"
    neighbour: str | None = None    # file of the memory shared with another machine, or unix:SOCKET
    net: object = None              # as of options.Settings
    mac: object = None
    pcap: str | None = None         # file for the frames of its network
    is_counted: bool = False        # its clock goes by its instructions: what it does repeats, whatever this machine does
    descriptors: tuple = ()         # open files that `extra` names by number


@dataclasses.dataclass
class Outcome:
    """How a run ended. record is None if the machine died without telling."""
    record: ExitRecord | None = None
    timed_out: bool = False
    qemu_status: int | None = None
    qemu_message: str = ""
    log: bytes = b""
    noise: bytes = b""
    seconds: float = 0.0


def qemu_command(options, image, log=None):
    """The command line that boots `image`, an argument list. log: where a virtio console's port for the
    kernel's log leads, an argument of -chardev; None: nowhere, the log comes with all else."""
    command = [options.qemu, "-M", options.machine, *_clock(options), "-cpu", "max",
               "-m", str(options.memory_mib), "-smp", str(options.cores), "-display", "none",
               "-nodefaults", "-no-user-config", "-no-reboot",
               "-chardev", "stdio,id=console,signal=off", *_console_device(options, log),
               *net_arguments(options.net, options.mac, options.machine, options.pcap),
               "-kernel", str(image), *_neighbour_device(options)]
    return command + list(options.extra)


# @impl ATL-LLR-TOOL-1240~1
def _clock(options):
    if options.is_counted:
        return ["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off"]
    return ["-accel", "tcg,thread=multi"]


def _neighbour_device(options):
    if options.neighbour is None:
        return []
    if options.machine != "q35":
        raise ToolError(f"the machine {options.machine} has no place for memory shared with a neighbour",
                        "give --machine q35")
    return neighbour_device(str(options.neighbour))


def _console_device(options, log):
    if options.console == "serial":
        return ["-serial", "chardev:console"]
    if options.machine == "microvm":
        bus = ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-serial-device"]
    else:
        bus = ["-device", "virtio-serial-pci"]
    # Not virtconsole: of that QEMU throws bytes away when their reader is slow.
    ports = ["-device", "virtserialport,chardev=console"]
    if log is not None:
        ports += ["-chardev", f"{log},id=log", "-device", f"virtserialport,chardev=log,name={LOG_PORT}"]
    return [*bus, *ports]


@contextlib.contextmanager
def _signal_pipe(selector):
    """A pipe that the selector watches and that each signal writes to. Without it a signal that comes
    right before a select would wait for the guest's next byte. Only the main thread has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        selector.register(reader, selectors.EVENT_READ)
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


# @impl ATL-LLR-TOOL-0011~1 ATL-LLR-TOOL-0014~1
class Guest:
    """A running image. `sinks` maps a stream number to a function that takes its bytes; `source` is
    the input: a file descriptor, bytes, None for none, or a function that gives the next bytes when it
    is called, b"" at the end."""

    def __init__(self, options, image, sinks, source=None):
        if shutil.which(options.qemu) is None:
            raise ToolError(f"{options.qemu} is missing", "install what Atoll needs: ./atoll setup"
                            if options.qemu == QEMU else "give --qemu a program that can be run")
        self._log_line, log = socket.socketpair() if options.console == "virtio" else (None, None)
        self.command = qemu_command(options, image, log and f"socket,fd={log.fileno()}")
        self._options = options
        self._sinks = sinks
        self._source = source
        self._decoder = Decoder()
        self._log_decoder = Decoder()
        self._log = collections.deque(maxlen=LOG_PIECES_MAX)
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._errors = tempfile.TemporaryFile()
        # A session of its own: Ctrl-C is for the tool, which then ends QEMU.
        self._process = subprocess.Popen(DIE_WITH_PARENT + self.command, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._errors,
                                         start_new_session=True,
                                         pass_fds=options.descriptors + (() if log is None else (log.fileno(),)))
        if log is not None:
            log.close()
        threading.Thread(target=self._relay_input, daemon=True).start()

    @property
    def pid(self):
        """The process id of its QEMU."""
        return self._process.pid

    def run(self):
        """Serves the console until the machine is gone; returns the Outcome. Whatever ends this
        early (Ctrl-C, a broken pipe), QEMU is dead afterwards."""
        outcome = Outcome()
        started = time.monotonic()
        is_leaving = False
        try:
            is_leaving = self._serve(outcome, started)
        finally:
            self._stop(is_leaving)
            outcome.seconds = time.monotonic() - started
        if self._log_line is not None:
            while self._take_log(outcome):  # to the end: QEMU is gone
                pass
            self._log_line.close()
        self._decoder.finish()
        outcome.noise = bytes(self._decoder.noise)
        outcome.log = b"".join(self._log)
        outcome.qemu_status = self._process.returncode
        self._errors.seek(0)
        outcome.qemu_message = self._errors.read().decode("utf-8", "replace").strip()
        return outcome

    def _serve(self, outcome, started):
        """True: QEMU has closed its output, and is about to leave."""
        limit = self._options.timeout_s
        deadline = started + limit if limit is not None else None
        output = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector, _signal_pipe(selector) as signals:
            selector.register(output, selectors.EVENT_READ)
            if self._log_line is not None:
                selector.register(self._log_line, selectors.EVENT_READ)
            while True:
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = [key.fileobj for key, _ in selector.select(wait)]
                if not ready:
                    outcome.timed_out = outcome.record is None
                    return False
                if signals in ready:
                    os.read(signals, 4096)  # the handlers have run, and none ends this
                if self._log_line in ready and not self._take_log(outcome):
                    selector.unregister(self._log_line)
                if output not in ready:
                    continue
                data = os.read(output, 65536)
                if not data:
                    return True
                for stream, payload in self._decoder.feed(data):
                    self._deliver(stream, payload, outcome)
                if outcome.record is not None:
                    leave = time.monotonic() + LEAVE_SECONDS
                    deadline = leave if deadline is None else min(deadline, leave)

    # @impl ATL-LLR-TOOL-1122~1
    def _take_log(self, outcome):
        """From the line of the log, where it has one of its own; False: it is over."""
        data = self._log_line.recv(65536)
        for stream, payload in self._log_decoder.feed(data):
            if stream in (STREAM_LOG, STREAM_KERNEL_ERROR):
                self._deliver(stream, payload, outcome)
        return bool(data)

    def _deliver(self, stream, payload, outcome):
        self._ready.set()
        if stream == STREAM_EXIT:
            outcome.record = outcome.record or ExitRecord.parse(payload)
            return
        if stream in (STREAM_LOG, STREAM_KERNEL_ERROR):
            self._log.append(payload)
        sink = self._sinks.get(stream)
        if sink is not None:
            sink(payload)

    def _stop(self, is_leaving):
        self._stopping.set()
        self._ready.set()
        try:
            self._process.wait(LEAVE_SECONDS if is_leaving else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _relay_input(self):
        # A thread of its own: QEMU takes input only as fast as the guest reads it.
        self._ready.wait(INPUT_SECONDS)
        pipe = self._process.stdin.fileno()
        try:
            for piece in self._input_pieces():
                if self._stopping.is_set():
                    return
                _write_all(pipe, encode_input(piece))
            _write_all(pipe, encode_input(b""))
        except OSError:
            pass  # QEMU is gone; the console's other end reports how

    def _input_pieces(self):
        if isinstance(self._source, (bytes, bytearray)):
            if self._source:
                yield bytes(self._source)
        elif self._source is not None:
            read = self._source if callable(self._source) else self._read_source
            while piece := read():
                yield piece

    def _read_source(self):
        try:
            return os.read(self._source, 4096)
        except OSError:
            return b""


def _write_all(descriptor, data):
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        view = view[written:]


__all__ = ["Guest", "MachineOptions", "Outcome", "qemu_command", "MACHINES", "CORES_MAX", "QEMU",
           "STREAM_OUTPUT", "STREAM_ERROR", "STREAM_LOG", "STREAM_KERNEL_ERROR"]
