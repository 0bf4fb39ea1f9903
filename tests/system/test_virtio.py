# SPDX-License-Identifier: Apache-2.0
"""The kernel's virtio devices: a console in the place of the serial port, and a source of entropy."""
import os
import random
import socket
import struct
import tempfile

from broken import UD2, put
from lib import FULL, ONE, PAIRWISE, system_test
from monitor import Memory
from test_panic import STATUS_PANIC

from atoll.elf import Elf
from atoll.testing.results import TestFailure

MMIO = ("-global", "virtio-mmio.force-legacy=false")
MIB = 1 << 20
VECTOR_STOP = 0xfe


def device(guest, name, *settings):
    """Arguments that give the machine a virtio device, on PCI or MMIO."""
    if guest.machine == "microvm":
        return (*MMIO, "-device", ",".join((f"virtio-{name}-device", *settings)))
    return "-device", ",".join((f"virtio-{name}-pci", *settings))


# @verifies ATL-LLR-VIRTIO-0008~3 ATL-LLR-VIRTIO-0009~1 ATL-LLR-VIRTIO-0012~2 ATL-LLR-TOOL-1122~1
@system_test(matrix=PAIRWISE, libc=("musl",))
def test_console_carries_output_and_errors(guest):
    result = guest.run(guest.build("hello.c"), console="virtio", verbose=True)
    result.expect(stdout=b"Hello, world!\n", stderr=b"", status=0)
    result.expect_that(b"audit" in result.outcome.log, "the kernel's log goes there too")
    result.expect_that(not result.kernel_errors, "no device breaks a rule")


# @verifies ATL-LLR-VIRTIO-0012~2
@system_test(matrix=PAIRWISE, libc=("musl",), size=(0, 1, 4095, 4096, 4097, 300000))
def test_console_carries_input(guest):
    data = random.Random(guest.size).randbytes(guest.size)
    result = guest.run(guest.build("streams.c"), "7", stdin=data, console="virtio")
    result.expect(stdout=data, stderr=f"{guest.size} bytes\n".encode(), status=7)


# @verifies ATL-LLR-VIRTIO-0012~2
@system_test(matrix=PAIRWISE, libc=("musl",))
def test_console_input_waits_for_a_late_reader(guest):
    data = random.Random(5).randbytes(60000)
    guest.run(guest.build("machine.c"), "late", stdin=data, console="virtio").expect(stdout=data)


# @verifies ATL-LLR-VIRTIO-0012~2
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=120)
def test_console_carries_sixteen_mebibytes(guest):
    data = random.Random(16).randbytes(MIB) * 16
    result = guest.run(guest.build("streams.c"), stdin=data, console="virtio")
    result.expect(stdout=data, stderr=b"16777216 bytes\n")


# @verifies ATL-LLR-VIRTIO-0012~2
@system_test(matrix=PAIRWISE, libc=("musl",), what=(("cores", 0, 0), ("nothing", 1, 0), ("abort", 0, 6)))
def test_console_carries_how_it_ended(guest):
    word, status, signal = guest.what
    result = guest.run(guest.build("machine.c"), word, console="virtio")
    record = result.outcome.record
    result.expect_that(record is not None and (record.status, record.signal) == (status, signal),
                       f"the record says status {status}, signal {signal}")
    result.expect_that(result.outcome.qemu_status == 0, "QEMU ended by itself")


# @verifies ATL-LLR-FILE-1100~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4))
def test_console_has_room_for_all_who_wait(guest):
    """Here the device says only once that all that it had is sent."""
    case = "a_writer_that_cannot_run_holds_up_nobody"
    result = guest.run(guest.build("console_cores.c"), "--only", case, console="virtio")
    result.expect(stdout=f"ok {case}\nall ok\n".encode())


# @verifies ATL-LLR-VIRTIO-0009~1
@system_test(matrix=ONE, machine=("q35",), libc=("musl",))
def test_console_with_a_page_for_each_queue(guest):
    data = random.Random(1).randbytes(20000)
    result = guest.run(guest.build("streams.c"), stdin=data, console="virtio",
                       qemu=("-global", "virtio-serial-pci.page-per-vq=on"))
    result.expect(stdout=data)


# @verifies ATL-LLR-VIRTIO-0012~2 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1,))
def test_serial_port_stays_where_there_is_no_virtio_console(guest):
    image = guest.pack(guest.build("hello.c"), console="virtio")
    result = guest.boot(image).expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(b"no virtio console" in result.kernel_errors, "the kernel says so")


# @verifies ATL-LLR-VIRTIO-0008~3 ATL-LLR-VIRTIO-0011~1
@system_test(matrix=FULL, libc=("musl",), cores=(1, 2))
def test_entropy_device_adds_to_the_generator(guest):
    result = guest.run(guest.build("hello.c"), verbose=True, qemu=device(guest, "rng"))
    result.expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(b"the entropy device adds to the generator" in result.outcome.log, "it answers")


# @verifies ATL-LLR-VIRTIO-0011~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1,))
def test_entropy_device_that_gives_nothing_holds_nobody_up(guest):
    result = guest.run(guest.build("hello.c"), verbose=True,
                       qemu=device(guest, "rng", "max-bytes=0", "period=1000000"))
    result.expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(b"the entropy device has not answered yet" in result.outcome.log, "it is said")


# @verifies ATL-LLR-VIRTIO-0008~3
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1,))
def test_other_devices_are_left_off(guest):
    result = guest.run(guest.build("hello.c"), verbose=True, qemu=device(guest, "balloon"))
    result.expect(stdout=b"Hello, world!\n", status=0)
    bus = b"MMIO" if guest.machine == "microvm" else b"PCI"
    result.expect_that(b"virtio device of kind 5 on %s: left off" % bus in result.outcome.log,
                       "the balloon is named")


# @verifies ATL-LLR-VIRTIO-0008~3 @robust
@system_test(matrix=ONE, libc=("musl",), machine=("microvm",))
def test_devices_that_speak_only_the_old_way_are_left_off(guest):
    result = guest.run(guest.build("hello.c"), verbose=True, qemu=("-device", "virtio-rng-device"))
    result.expect(stdout=b"Hello, world!\n", status=0)
    result.expect_that(b"virtio device of kind 4 on MMIO: left off" in result.outcome.log, "it is said")


# @verifies ATL-LLR-VIRTIO-0008~3
@system_test(matrix=ONE, libc=("musl",), machine=("q35",))
def test_device_behind_a_bridge_is_found(guest):
    result = guest.run(guest.build("hello.c"), verbose=True,
                       qemu=("-device", "pcie-root-port,id=bridge", "-device", "virtio-rng-pci,bus=bridge"))
    result.expect_that(b"the entropy device adds to the generator" in result.outcome.log, "it answers")


# @verifies ATL-LLR-VIRTIO-0012~2 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_console_carries_the_report_of_a_panic(guest):
    image = bytearray(guest.pack(guest.build("streams.c"), console="virtio"))
    put(image, Elf(guest.parts()[0].read_bytes(), "kernel").symbols()["gate_console_ready"], UD2)
    result = guest.boot(bytes(image), stdin=b"input", console="virtio").expect(status=STATUS_PANIC)
    result.expect_that(b"panic: core 0: exception 6" in result.kernel_errors, "the report is there")


QUEUE_INPUT, QUEUE_OUTPUT = 4, 5


def jump(monitor):
    at = monitor.rings("virtio-serial", QUEUE_INPUT)["vring-used"] + 2
    index = struct.unpack_from("<H", monitor.memory, at)[0]
    struct.pack_into("<H", monitor.memory, at, (index + 100) & 0xffff)


def name_nobody(monitor):
    ring = monitor.rings("virtio-serial", QUEUE_INPUT)["vring-used"]
    for i in range(8):
        struct.pack_into("<II", monitor.memory, ring + 4 + 8 * i, 0x80000000 + i, 1)
    jump_by_one(monitor, ring)


def tell_too_much(monitor):
    ring = monitor.rings("virtio-serial", QUEUE_INPUT)["vring-used"]
    for i in range(8):
        struct.pack_into("<II", monitor.memory, ring + 4 + 8 * i, 0, 0xffffffff)
    jump_by_one(monitor, ring)


def jump_by_one(monitor, ring):
    index = struct.unpack_from("<H", monitor.memory, ring + 2)[0]
    struct.pack_into("<H", monitor.memory, ring + 2, (index + 1) & 0xffff)


ATTACKS = {"jump": jump, "nobody": name_nobody, "too much": tell_too_much}


# @verifies ATL-LLR-VIRTIO-0006~1 ATL-LLR-VIRTIO-0010~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), attack=tuple(ATTACKS), timeout_s=60)
def test_console_survives_a_device_that_breaks_rules(guest):
    with tempfile.TemporaryDirectory() as folder:
        reader, writer = os.pipe()
        attacks = []

        def attack(_):
            if not attacks:
                attacks.append(Memory(folder))
                ATTACKS[guest.attack](attacks[0])

        def told(_):
            os.write(writer, b"enough")
            os.close(writer)

        result = guest.run(guest.build("ticker.c"), stdin=reader, console="virtio", on_output=attack,
                           on_kernel_error=told, qemu=(
                               "-object", f"memory-backend-file,id=ram,size=128M,share=on,mem-path={folder}/memory",
                               "-machine", "memory-backend=ram",
                               "-qmp", f"unix:{folder}/monitor,server=on,wait=off"))
        os.close(reader)
    result.expect(status=0)
    result.expect_that(result.kernel_errors == b"atoll: the virtio console broke a rule: it was reset\n",
                       "the kernel says so, once")
    result.expect_that(result.stdout.endswith(b"over\n"), "output and input go on")


# @verifies ATL-LLR-VIRTIO-0008~3 ATL-LLR-VIRTIO-0003~1 @robust
@system_test(matrix=ONE, machine=("q35",), libc=("musl",))
def test_many_devices_are_left_off(guest):
    """Of 160 functions that the kernel knows it takes one."""
    functions = [word for slot in range(4, 24) for function in range(8)
                 for word in ("-device", f"virtio-rng-pci,multifunction=on,addr={slot:x}.{function}")]
    result = guest.run(guest.build("hello.c"), qemu=functions, verbose=True, memory=256)
    result.expect(stdout=b"Hello, world!\n", status=0)
    lines = result.outcome.log.count(b"virtio device of kind 4 on PCI")
    off = result.outcome.log.count(b"virtio device of kind 4 on PCI: left off")
    result.expect_that((lines, off) == (160, 159), f"all are seen, one is taken: {lines}, {off}")


# @verifies ATL-LLR-VIRTIO-0871~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_interrupts_that_nobody_asked_for_change_nothing(guest):
    """The host sends core 0 each vector from 32 on but that by which a panic stops it, as a device would:
    by a write to the APIC's address."""
    data = random.Random(3).randbytes(20000)
    with tempfile.TemporaryDirectory(prefix="atoll-qtest-") as folder:
        path = f"{folder}/qtest"

        def source():
            if source.is_done:
                return b""
            source.is_done = True
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(path)
                answers = line.makefile("rb")
                for vector in [*range(32, VECTOR_STOP), VECTOR_STOP + 1] * 20:
                    line.sendall(b"writel 0xfee00000 %d\n" % vector)
                    if not answers.readline().startswith(b"OK"):
                        raise TestFailure("QEMU takes no interrupt")
            source.sent = True
            return data
        source.is_done = source.sent = False
        result = guest.run(guest.build("streams.c"), "7", stdin=source,
                           qemu=("-qtest", f"unix:{path},server=on,wait=off"))
    result.expect(stdout=data, stderr=f"{len(data)} bytes\n".encode(), status=7)
    result.expect_that(source.sent and not result.kernel_errors, "all were sent, and the kernel has nothing to say")
