# SPDX-License-Identifier: Apache-2.0
"""What the tool's own tests share: stand-ins for kernel.elf and posix.elf, and small programs."""
import functools
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from atoll.console import encode_output  # noqa: E402

# Before a command: it has a network of its own, where it may do everything.
NAMESPACE = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-rn")
FIXTURES = pathlib.Path(__file__).resolve().parent / "fixtures"
_FOLDER = tempfile.TemporaryDirectory(prefix="atoll-tool-test-")
FOLDER = pathlib.Path(_FOLDER.name)


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=60, **options)


def compile_ok(*command):
    done = run(*command)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())


@functools.cache
def posix_elf(*defines, source="posix.c"):
    target = FOLDER / f"posix-{abs(hash((defines, source)))}.elf"
    compile_ok("gcc", "-std=gnu2x", "-O1", "-ffreestanding", "-fpie", "-nostdlib", "-static-pie",
               "-fcf-protection=none", "-fno-asynchronous-unwind-tables", "-fno-stack-protector",
               "-Wl,--no-dynamic-linker", "-Wl,-z,norelro", "-Wl,--build-id=none", *defines,
               f"-T{FIXTURES / 'posix.ld'}", FIXTURES / source, "-o", target)
    return target


def kernel_elf(name, frames, *defines):
    """A stand-in that plays `frames`, (stream, bytes) pairs or raw bytes."""
    script = b"".join(f if isinstance(f, bytes) else encode_output(*f) for f in frames)
    (FOLDER / f"{name}.script").write_bytes(script)
    target = FOLDER / f"{name}.elf"
    compile_ok("gcc", "-c", f'-DSCRIPT="{FOLDER / name}.script"', *defines, FIXTURES / "kernel.S",
               "-o", FOLDER / f"{name}.o")
    compile_ok("ld", "-m", "elf_x86_64", "-nostdlib", "-z", "noexecstack", "--build-id=none",
               f"-T{FIXTURES / 'kernel.ld'}", FOLDER / f"{name}.o", "-o", target)
    return target


@functools.cache
def hello(*flags):
    """A small static program."""
    source, target = FOLDER / "hello.c", FOLDER / f"hello-{abs(hash(flags))}"
    source.write_text("int main(void) { return 0; }\n")
    compile_ok("musl-gcc", "-static", "-O1", *flags, source, "-o", target)
    return target
