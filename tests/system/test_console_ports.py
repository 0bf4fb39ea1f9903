# SPDX-License-Identifier: Apache-2.0
"""A virtio console with several ports, with one, and with one that takes nothing: plain QEMU, without the tool."""
import contextlib
import os
import pathlib
import re
import subprocess
import tempfile

from lib import EACH, ONE, PAIRWISE, system_test

from atoll.machine import DIE_WITH_PARENT
from atoll.testing.results import TestFailure

PROGRAM_PORT = {"serial": "virtserialport", "console": "virtconsole"}  # number 1; number 0


def boot(guest, image, *devices, bus=""):
    """What a machine whose console has these devices behind it writes to its standard output. Its input stays open:
    at its end QEMU would take a virtserialport for not connected."""
    kind = "virtio-serial-device" if guest.machine == "microvm" else "virtio-serial-pci"
    with tempfile.NamedTemporaryFile() as file:
        file.write(image)
        file.flush()
        reader, writer = os.pipe()
        done = subprocess.run(
            [*DIE_WITH_PARENT, "qemu-system-x86_64", "-M", guest.machine, "-cpu", "max", "-m", "64", "-smp",
             str(guest.cores), "-kernel", file.name, "-display", "none", "-nodefaults", "-no-reboot",
             "-global", "virtio-mmio.force-legacy=false", "-chardev", "stdio,id=c,signal=off",
             "-device", kind + bus, *(word for device in devices for word in device)],
            capture_output=True, stdin=reader, timeout=guest.timeout_s)
        os.close(reader)
        os.close(writer)
    if done.returncode != 0 or done.stderr:
        raise TestFailure(f"QEMU: {done.returncode}", done.stderr.decode())
    return done.stdout.replace(b"\r\n", b"\n")


def expect(text, wanted):
    if text != wanted:
        raise TestFailure(f"standard output is {text!r}")


# @verifies ATL-LLR-VIRTIO-1120~1 ATL-LLR-VIRTIO-0013~2
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), port=tuple(PROGRAM_PORT))
def test_log_has_a_port_of_its_own(guest):
    image = guest.pack(guest.build("hello.c"), framed=False, verbose=True, console="virtio")
    program = ("-device", f"{PROGRAM_PORT[guest.port]},chardev=c")
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "log"
        expect(boot(guest, image, ("-chardev", f"file,id=l,path={log}"), program,
                    ("-device", "virtserialport,chardev=l,name=atoll.log")), b"Hello, world!\n")
        said = log.read_bytes()
    if not re.search(rb"^atoll: audit: .* holds$", said, re.M) or b"Hello" in said:
        raise TestFailure(f"the log is {said!r}")


# @verifies ATL-LLR-VIRTIO-1120~1
@system_test(matrix=ONE, libc=("musl",), machine=("q35",))
def test_ports_of_other_names_are_left_alone(guest):
    image = guest.pack(guest.build("hello.c"), framed=False, console="virtio")
    others = [("-device", f"virtserialport,chardev=n,nr={number},name={name}")
              for number, name in ((5, "org.qemu.guest_agent.0"), (9, "atoll.logs"))]
    expect(boot(guest, image, ("-chardev", "null,id=n,mux=on"), ("-device", "virtserialport,chardev=c"), *others),
           b"Hello, world!\n")


# @verifies ATL-LLR-VIRTIO-0012~2 ATL-LLR-VIRTIO-0013~2
@system_test(matrix=EACH, libc=("musl",), cores=(1, 2))
def test_device_without_ports_has_one_line(guest):
    """Such a device does not offer VIRTIO_CONSOLE_F_MULTIPORT at all."""
    image = guest.pack(guest.build("hello.c"), verbose=True, framed=False, console="virtio")
    said = boot(guest, image, ("-device", "virtconsole,chardev=c"), bus=",max_ports=1")
    if not re.search(rb"^atoll: audit: .* holds\n(.*\n)*Hello, world!\n$", said, re.M):
        raise TestFailure(f"standard output is {said!r}")


@contextlib.contextmanager
def full_pipe():
    """The path of a pair of pipes, as QEMU names them; that from the machine takes nothing more."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pipe")
        os.mkfifo(path + ".in")
        os.mkfifo(path + ".out")
        pipe = os.open(path + ".out", os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, bytes(4096))
        yield path
        os.close(pipe)


# @verifies ATL-LLR-BOOT-1121~1 @robust
@system_test(matrix=EACH, libc=("musl",), cores=(1,), ring=(3,), timeout_s=60)
def test_log_that_takes_nothing_comes_with_all_else(guest):
    image = guest.pack(guest.build("hello.c"), framed=False, verbose=True, console="virtio")
    with full_pipe() as path:
        said = boot(guest, image, ("-chardev", f"pipe,id=l,path={path}"), ("-device", "virtserialport,chardev=c"),
                    ("-device", "virtserialport,chardev=l,name=atoll.log"))
    if not re.search(rb"^atoll: audit: .* holds\n(.*\n)*Hello, world!\n$", said, re.M):
        raise TestFailure(f"standard output is {said!r}")
