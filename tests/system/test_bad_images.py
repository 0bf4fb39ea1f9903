# SPDX-License-Identifier: Apache-2.0
"""Damaged images and unfit machines end in a clear refusal, with the tool and without it."""
import pathlib
import random
import struct
import subprocess
import tempfile
import unittest.mock

from lib import ONE, PAIRWISE, system_test

from atoll.native_code import crc32c
from atoll.elf import PT_LOAD, Elf
from atoll.image import CRC_INDEX_OFFSET

STATUS_REFUSED = 125


def image_of(guest, framed=True, cores=None):
    return bytearray(guest.pack(guest.build("hello.c"), framed=framed, cores=cores or guest.cores))


def damage(image, address):
    """Flips a bit of what the loader puts at a physical address."""
    for segment in Elf(image, "image").segments:
        inside = address - segment.physical
        if segment.kind == PT_LOAD and 0 <= inside < segment.file_bytes:
            image[segment.offset + inside] ^= 0x10
            return
    raise AssertionError(f"no byte of the file is loaded at {address:#x}")


# @verifies ATL-LLR-TOOL-0042~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), place=("magic", "index", "posix"))
def test_damaged_payload_is_refused(guest):
    image = image_of(guest)
    _, _, start, _ = struct.unpack_from("<8sQQQ", image, bytes(image).index(b"IMAGELOC"))
    elf = Elf(image, "image")
    header = next(s for s in elf.loads if s.physical == start)
    index_bytes = struct.unpack_from("<Q", image, header.offset + 24)[0]
    damage(image, start + {"magic": 0, "index": 300, "posix": index_bytes + 16}[guest.place])
    result = guest.boot(bytes(image))
    text = result.kernel_errors + result.outcome.noise
    result.expect_that(b"image" in text.lower(), "the message names the image")
    result.expect(status=STATUS_REFUSED, stdout=b"")


# What is wrong, the header's field that names its place, what is written how far behind it, and why.
BAD_INDEXES = {
    "path": (248, 0, b"x", b"program path is not absolute and normal"),
    "file": (240, 22, b"\x01", b"file mode has unknown bits"),
}


# @verifies ATL-LLR-IMAGE-0006~3 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), wrong=tuple(BAD_INDEXES))
def test_malformed_index_is_refused(guest):
    """What only the library OS uses; the checksums are right."""
    field, behind, value, reason = BAD_INDEXES[guest.wrong]
    image = image_of(guest)
    _, _, start, _ = struct.unpack_from("<8sQQQ", image, bytes(image).index(b"IMAGELOC"))
    segment = next(s for s in Elf(image, "image").loads if s.physical == start)
    at, index_bytes = segment.offset, struct.unpack_from("<Q", image, segment.offset + 24)[0]
    index = image[at:at + min(index_bytes, segment.file_bytes)] # zeros behind it are not in the file
    place = struct.unpack_from("<I", index, field)[0] + behind
    index[place:place + len(value)] = value
    struct.pack_into("<I", index, CRC_INDEX_OFFSET, 0)
    padding = bytes(index_bytes - len(index))
    struct.pack_into("<I", index, CRC_INDEX_OFFSET, crc32c(bytes(index) + padding))
    image[at:at + len(index)] = index
    result = guest.boot(bytes(image))
    result.expect(status=STATUS_REFUSED, stdout=b"")
    result.expect_that(b"atoll: cannot start: the image is damaged: " + reason in result.stderr,
                       "the message says why")


LOOK = """{bytes} bytes
reads 131072, then I/O error
private: read ..E... map ..B...
private copy: read ..E... map ..B...
shared: read ..E... map ..B...
shared writable: read ..E... map ..B...
write I/O error
write done
after a write: read ..E... map ..B...
"""


# @verifies ATL-LLR-FILE-0005~2
@system_test(matrix=PAIRWISE, cores=(1, 2), what=("open", "look"), libc=("musl",))
def test_damage_of_a_file_is_that_of_its_block(guest):
    content = random.Random(5).randbytes(5 * 65536 + 100)
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        image = bytearray(guest.pack(guest.build("damaged.c"), guest.what, "/data/blocks",
                                     files=[(file.name, "/data/blocks")]))
    place = bytes(image).index(content[2 * 65536:2 * 65536 + 64])
    image[place + 40000] ^= 1
    result = guest.boot(bytes(image))
    report = b"/data/blocks: the content does not match its checksum, bytes 131072 to 196607"
    if guest.what == "open":  # nobody has looked at a block
        result.expect(status=0, stdout=f"{len(content)} bytes\n".encode(), stderr=b"")
    else:
        result.expect(status=0, stdout=LOOK.format(bytes=len(content)).encode())
        result.expect_that(result.stderr.count(b"\n") == 1 and report in result.stderr, "one report")


# @verifies ATL-LLR-TOOL-0042~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_too_many_cores_are_refused(guest):
    result = guest.boot(bytes(image_of(guest, cores=guest.cores + 1)))
    result.expect(status=STATUS_REFUSED, stdout=b"")
    result.expect_that(b"core" in result.kernel_errors, "the message names the cores")


# @verifies ATL-LLR-TOOL-0042~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4))
def test_too_little_memory_is_refused(guest):
    result = guest.boot(bytes(image_of(guest)), memory=2)
    result.expect(status=STATUS_REFUSED, stdout=b"")
    result.expect_that(b"memory" in (result.kernel_errors + result.outcome.noise).lower(),
                       "the message names the memory")


# @verifies ATL-LLR-TOOL-0043~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2))
def test_plain_qemu_boots_a_packed_image(guest):
    """The command line of the manual, without the tool: the console is plain text."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(image_of(guest, framed=False))
        file.flush()
        done = subprocess.run(
            ["qemu-system-x86_64", "-M", guest.machine, "-cpu", "max", "-m", "64", "-smp",
             str(guest.cores), "-kernel", file.name, "-serial", "stdio", "-display", "none",
             "-no-reboot"], capture_output=True, stdin=subprocess.DEVNULL, timeout=guest.timeout_s)
    text = done.stdout.replace(b"\r\n", b"\n")
    if b"Hello, world!\n" not in text or b"\xa7" in text:
        raise AssertionError(f"status {done.returncode}, output {text!r}, {done.stderr!r}")


# @verifies ATL-LLR-TOOL-0040~1
@system_test(matrix=ONE)
def test_tool_ends_as_the_program_does(guest):
    """Through ./atoll run itself, with everything at its default."""
    program = guest.build("streams.c")
    done = guest.tool("run", program, "--", "33", input=b"some input")
    if (done.stdout, done.stderr, done.returncode) != (b"some input", b"10 bytes\n", 33):
        raise AssertionError(f"{done.stdout!r} {done.stderr!r} {done.returncode}")


def program_header(data, kind, number=0):
    """The offset of the number-th program header of a kind."""
    table, size, count = struct.unpack_from("<Q", data, 32)[0], 56, struct.unpack_from("<H", data, 56)[0]
    found = [at for at in range(table, table + size * count, size)
             if struct.unpack_from("<I", data, at)[0] == kind]
    return found[number]


def overlap(data):
    first, second = program_header(data, PT_LOAD), program_header(data, PT_LOAD, 1)
    low = struct.unpack_from("<Q", data, first + 16)[0]
    high = struct.unpack_from("<Q", data, second + 16)[0]
    struct.pack_into("<Q", data, second + 16, low // 4096 * 4096 + high % 4096)


def put(form, offset_of, value):
    def change(data):
        struct.pack_into(form, data, offset_of(data), value)
    return change


PT_INTERP, PT_GNU_STACK = 3, 0x6474e551
# What is done to the program, and words that the loader must say of it.
BAD_PROGRAMS = {
    "empty": (lambda data: data.clear(), "too short"),
    "script": (lambda data: data.__setitem__(slice(None), b"#!/bin/sh\necho\n" * 10), "not an ELF file"),
    "truncated": (lambda data: data.__delitem__(slice(len(data) // 2, None)), "truncated"),
    "bits32": (put("<B", lambda data: 4, 1), "32-bit"),
    "aarch64": (put("<H", lambda data: 18, 183), "not an x86-64 program"),
    "dynamic": (put("<I", lambda data: program_header(data, PT_GNU_STACK), PT_INTERP),
                "dynamically linked"),
    "overlapping": (overlap, "overlap"),
    "huge": (put("<Q", lambda data: program_header(data, PT_LOAD) + 40, 1 << 62), "too large"),
    "entry": (put("<Q", lambda data: 24, 0x10), "entry point"),
    "writable_code": (put("<I", lambda data: program_header(data, PT_LOAD, 1) + 4, 7),
                      "writable and executable"),
}


# @verifies ATL-LLR-LOAD-0001~1 ATL-LLR-LOAD-0004~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1,), bad=tuple(BAD_PROGRAMS))
def test_loader_refuses_what_the_tool_would(guest):
    """The tool's check is passed over: what it misses must end as clearly in the machine."""
    change, words = BAD_PROGRAMS[guest.bad]
    data = bytearray(pathlib.Path(guest.build("hello.c")).read_bytes())
    change(data)
    with tempfile.TemporaryDirectory() as folder, unittest.mock.patch("atoll.pack.check_program"):
        program = pathlib.Path(folder, "hello")
        program.write_bytes(data)
        image = guest.pack(program, detour=False)
    result = guest.boot(image)
    result.expect(status=126, stdout=b"")
    message = result.stderr.decode()
    result.expect_that("/bin/hello" in message and words in message, f"the message says {words!r}")
