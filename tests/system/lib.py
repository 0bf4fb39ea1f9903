# SPDX-License-Identifier: Apache-2.0
"""What system tests are written with. A test is a function with @system_test; it gets a Guest, which
knows its configuration and can build, pack and boot programs:

    @system_test(matrix=FULL, timeout_s=30)
    def test_hello(guest):
        result = guest.run(guest.build("hello.c"), "a", "b")
        result.expect(stdout=b"hello\\n", status=0)

The axis calls=("detoured", "reflected") says whether the program's system-call sites are rewritten;
without it they are.

`matrix`: FULL boots every combination of ring, cores, machine and libc, PAIRWISE a few that cover
each pair of values, EACH fewer that cover each value, ONE a single one, FULL_ONLY none. `./atoll test --full` makes every matrix full.
@host_test marks a test that boots nothing; its function takes a Guest as well."""
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from atoll.build import compile_program  # noqa: E402
from atoll.console import (STREAM_ERROR, STREAM_KERNEL_ERROR, STREAM_LOG,  # noqa: E402
                           STREAM_OUTPUT, STREAM_TRACE)
from atoll.machine import Guest as Machine  # noqa: E402
from atoll.machine import QEMU, MachineOptions  # noqa: E402
from atoll.options import DEFAULT_ENVIRONMENT, Settings  # noqa: E402
from atoll.pack import pack  # noqa: E402
from atoll.paths import build_directory  # noqa: E402
from atoll.run import exit_status  # noqa: E402
from atoll.testing.parts import frozen_parts  # noqa: E402
from atoll.testing.results import TestFailure  # noqa: E402

FULL, PAIRWISE, EACH, ONE, FULL_ONLY = "full", "pairwise", "each", "one", "full only"
AXES = {"ring": (3, 0), "cores": (2, 1, 4), "machine": ("microvm", "q35"), "libc": ("musl", "glibc")}
COMPILERS = {("musl", ".c"): "musl-gcc", ("glibc", ".c"): "gcc", ("glibc", ".cpp"): "g++"}
SOURCE_FOLDERS = (ROOT / "tests/system/programs", ROOT / "tests/conformance")
TAIL_BYTES = 8192


@dataclasses.dataclass(frozen=True)
class Test:
    """A registered test. axes: {name: values}; empty for a host test."""
    function: object
    matrix: str
    axes: dict
    timeout_s: float

    @property
    def name(self):
        return f"system/{self.function.__module__}.{self.function.__name__}"


registered = []


def system_test(matrix=FULL, timeout_s=30, **axes):
    """axes narrows or adds: libc=("musl",), ring=(3,), or one of the test's own, as size=(1, 2)."""
    def register(function):
        registered.append(Test(function, matrix, {**AXES, **axes}, timeout_s))
        return function
    return register


def host_test(function):
    registered.append(Test(function, FULL, {}, 60))
    return function


@dataclasses.dataclass
class Result:
    """What a boot left behind."""
    stdout: bytes
    stderr: bytes
    kernel_errors: bytes
    status: int
    outcome: object
    log: str
    rings: bytes = b""

    def expect(self, stdout=None, stderr=None, status=0):
        """Raises TestFailure unless everything given is equal."""
        for what, actual, wanted in (("status", self.status, status), ("stdout", self.stdout, stdout),
                                     ("stderr", self.stderr, stderr)):
            if wanted is not None and actual != wanted:
                self.fail(f"{what} is {_short(actual)}, expected {_short(wanted)}")
        return self

    def expect_that(self, holds, text):
        if not holds:
            self.fail(f"does not hold: {text}")
        return self

    def fail(self, message):
        raise TestFailure(message, f"{self.log}\n{message}\n")


def _short(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]} ({len(value)} bytes)"


class Guest:
    """One configuration of one test. Attributes: ring, cores, machine, libc and the test's own."""

    is_full = False  # ./atoll test --full
    _compile_lock = threading.Lock()

    def __init__(self, test, configuration):
        self.timeout_s = test.timeout_s
        self.configuration = configuration
        self.facts = {}
        for name, value in configuration.items():
            setattr(self, name, value)

    def amount(self, usual, full):
        """How much of something a test does."""
        return full if self.is_full else usual

    def build(self, source, *flags, libc=None):
        """Compiles a source file of tests/system/programs or tests/conformance, once; the path."""
        libc = libc or self.configuration.get("libc", "musl")
        path = next((f / source for f in SOURCE_FOLDERS if (f / source).exists()), None)
        if path is None:
            raise TestFailure(f"there is no {source} in {SOURCE_FOLDERS}")
        if (libc, path.suffix) not in COMPILERS:
            raise TestFailure(f"{source} cannot be built with {libc}: narrow the test's axes")
        standard = "-std=gnu2x" if path.suffix == ".c" else "-std=c++20"
        libraries = [flag for flag in flags if flag.startswith("-l")]
        static = [] if "-static-pie" in flags else ["-static"]  # gcc 12 does not take both
        command = [COMPILERS[libc, path.suffix], standard, "-O2", *static, "-pthread",
                   *(flag for flag in flags if flag not in libraries), str(path), *libraries]
        headers = sorted(h for f in {path.parent, path.parent.parent, ROOT / "tests"} for h in f.glob("*.h"))
        texts = [path.read_bytes(), *(h.read_bytes() for h in headers)]
        key = hashlib.sha256(repr((command, texts)).encode()).hexdigest()[:12]
        target = build_directory() / "programs" / f"{path.stem}-{libc}-{key}" / path.stem
        with self._compile_lock:
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                aside = target.with_suffix(".new")
                compile_program([*command, "-o", str(aside)])
                os.replace(aside, target)
            elif target.stat().st_mtime < path.stat().st_mtime:
                os.utime(target)  # another checkout of the same text: GDB would warn of it
        return target

    def pack(self, program, *arguments, framed=True, environment=None, variant="image", neighbour=None,
             **settings):
        """The bytes of an image for this configuration; settings are fields of options.Settings."""
        values = {"ring": self.ring, "cores": self.cores, "machine": self.machine,
                  "detour": self.configuration.get("calls") != "reflected", **settings}
        return pack(program, list(arguments), Settings(
            find_parts=frozen_parts, variant=variant, neighbour=neighbour,
            environment={**DEFAULT_ENVIRONMENT, **(environment or {})}, **values), framed)

    def run(self, program, *arguments, stdin=b"", files=(), environment=None, memory=128, seed=None,
            variant="image", qemu=(), verbose=False, timeout_s=None, allow_write_execute=False,
            on_output=None, console="serial", on_kernel_error=None, neighbour=None):
        """Packs and boots a program; the Result."""
        image = self.pack(program, *arguments, environment=environment, variant=variant,
                          files=list(files), memory=memory, seed=seed, verbose=verbose,
                          allow_write_execute=allow_write_execute, console=console, neighbour=neighbour)
        return self.boot(image, stdin=stdin, memory=memory, qemu=qemu, timeout_s=timeout_s,
                         on_output=on_output, console=console, on_kernel_error=on_kernel_error,
                         neighbour=neighbour)

    def boot(self, image, stdin=b"", memory=128, qemu=(), timeout_s=None, emulator=QEMU,
             on_output=None, console="serial", on_kernel_error=None, neighbour=None, on_error=None, descriptors=()):
        """Boots the bytes of an image; a run that does not end in time fails the test. qemu: further
        arguments for QEMU; descriptors: what these name by number; emulator: another one than the machine's; on_output, on_error and on_kernel_error
        get each piece of standard output, of standard error and of the kernel's errors as it comes."""
        limit = timeout_s or self.timeout_s
        options = MachineOptions(self.cores, memory, self.machine, tuple(qemu), limit, emulator,
                                 console, neighbour, descriptors=tuple(descriptors))
        streams = {s: bytearray() for s in (STREAM_OUTPUT, STREAM_ERROR, STREAM_LOG,
                                            STREAM_KERNEL_ERROR, STREAM_TRACE)}
        with tempfile.NamedTemporaryFile(prefix="atoll-test-") as file:
            file.write(image)
            file.flush()
            sinks = {s: b.extend for s, b in streams.items()}
            for stream, call in ((STREAM_OUTPUT, on_output), (STREAM_ERROR, on_error),
                                 (STREAM_KERNEL_ERROR, on_kernel_error)):
                if call is not None:
                    sinks[stream] = lambda data, s=stream, c=call: (streams[s].extend(data), c(data))
            machine = Machine(options, file.name, sinks, stdin)
            outcome = machine.run()
        self.facts = {"image": hashlib.sha256(image).hexdigest(),
                      "qemu": " ".join(machine.command[1:]).replace(file.name, "IMAGE")}
        result = Result(bytes(streams[STREAM_OUTPUT]), bytes(streams[STREAM_ERROR]),
                        bytes(streams[STREAM_KERNEL_ERROR]), exit_status(outcome), outcome,
                        _describe(machine.command, streams, outcome),
                        bytes(streams[STREAM_TRACE]))
        if outcome.timed_out:
            result.fail(f"no end after {limit} s")
        return result

    def on_linux(self, program, *arguments, stdin=b"", timeout_s=60):
        """The same program on the build machine, to compare with: (stdout, stderr, status)."""
        done = subprocess.run([str(program), *arguments], input=stdin, capture_output=True,
                              timeout=timeout_s)
        status = done.returncode if done.returncode >= 0 else 128 - done.returncode
        return done.stdout, done.stderr, status

    def tool(self, *words, **options):
        """Runs ./atoll itself."""
        return subprocess.run([str(ROOT / "atoll"), *(str(w) for w in words)], capture_output=True,
                              timeout=self.timeout_s, **options)

    def parts(self, variant="image", net="none"):
        """Paths of the kernel.elf and posix.elf that this run boots."""
        return frozen_parts(variant, net)


def _describe(command, streams, outcome):
    parts = [" ".join(command), f"record: {outcome.record}, QEMU status {outcome.qemu_status}, "
             f"{outcome.seconds:.1f} s", outcome.qemu_message]
    for title, data in (("kernel", outcome.log), ("noise", outcome.noise),
                        ("stdout", streams[STREAM_OUTPUT]), ("stderr", streams[STREAM_ERROR])):
        if data:
            text = bytes(data[-TAIL_BYTES:]).decode("utf-8", "backslashreplace")
            parts.append(f"--- {title}\n{text}")
    return "\n".join(part for part in parts if part)
