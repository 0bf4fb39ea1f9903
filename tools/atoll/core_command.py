# SPDX-License-Identifier: Apache-2.0
"""`./atoll core`: a core file of a machine that runs, which goes on."""
import argparse
import pathlib
import struct
import sys
import time

from atoll.crash import next_path, write_aside
from atoll.elf import SHT_SYMTAB, Elf
from atoll.errors import ToolError
from atoll.remote import RemoteError, connect
from atoll.snapshot import KIND_IMAGE, LineReader, Machine

ELF_HEADER_BYTES, SECTION_BYTES, SHT_STRTAB = 64, 64, 3
ELF_BYTES_MAX = 64 << 20
KERNEL_PATH, POSIX_PATH = "/proc/.atoll/kernel.elf", "/proc/.atoll/posix.elf"


def core_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll core", usage="./atoll core [-o FILE] PORT|SOCKET [PROGRAM]",
        description="Writes a core file of a machine that ./atoll run --gdb PORT has started, for GDB. The program "
                    "stands still while its memory is copied, and goes on. No debugger may be connected.")
    parser.add_argument("machine", metavar="PORT|SOCKET", help="the port of --gdb, or the path of the line's socket")
    parser.add_argument("program", metavar="PROGRAM", nargs="?",
                        help="the program's file: then what it has of the memory is not copied")
    parser.add_argument("-o", "--output", metavar="FILE", help="where it goes (default: core.1, core.2 ... here)")
    return parser


# @impl ATL-LLR-DEBUG-0707~1
def core_command(words):
    arguments = core_parser().parse_intermixed_args(words)
    path = pathlib.Path(arguments.output) if arguments.output else next_path(pathlib.Path("."))
    if not path.parent.is_dir():
        raise ToolError(f"{path.parent}: no folder", "give a path that can be written")
    remote = connect(int(arguments.machine) if arguments.machine.isdigit() else arguments.machine)
    try:
        remote.attach()
        began = time.monotonic()
        snapshot, program = take(remote, path, arguments.program)
        stood = time.monotonic() - began
        remote.detach()
    finally:
        remote.close()
    plural = "s" if len(snapshot.threads) > 1 else ""
    print(f"atoll: {path}: {len(snapshot.threads)} thread{plural}, {path.stat().st_blocks // 2} KiB; the machine stood "
          f"still for {stood:.1f} s; to look at it: gdb {program} {path}", file=sys.stderr)
    return 0


# @impl ATL-LLR-DEBUG-0707~1
def symbols_of(remote, path):
    """An Elf of the image of which only symbols and frames are there: the rest would take long."""
    descriptor = remote.open(path)
    header = remote.file_part(descriptor, 0, ELF_HEADER_BYTES)
    table, = struct.unpack_from("<Q", header, 40)
    entry_bytes, count = struct.unpack_from("<HH", header, 58)
    if entry_bytes != SECTION_BYTES or table + count * SECTION_BYTES > ELF_BYTES_MAX:
        raise RemoteError(f"the machine's {path} is no ELF file")
    rows = remote.file_part(descriptor, table, count * SECTION_BYTES)
    data = bytearray(table + len(rows))
    data[:ELF_HEADER_BYTES], data[table:] = header, rows
    struct.pack_into("<H", data, 56, 0)  # no segments
    for kind, offset, size in (struct.unpack_from("<4xI16x2Q", rows, at) for at in range(0, len(rows), SECTION_BYTES)):
        if kind == SHT_STRTAB:
            data[offset:offset + size] = remote.file_part(descriptor, offset, size)
    elf = Elf(bytes(data), path)
    frames = elf.section_named(b".debug_frame")
    for section in elf.sections:
        if section.kind == SHT_SYMTAB or section is frames:
            data[section.offset:section.offset + section.bytes] = remote.file_part(descriptor, section.offset,
                                                                                   section.bytes)
    return Elf(bytes(data), path)


# @impl ATL-LLR-DEBUG-0707~1
def take(remote, path, program):
    """Writes the core file of the machine that stands still; (Snapshot, what GDB may call its program)."""
    guest = remote.document(b"exec-file:read:1").decode("utf-8", "surrogateescape")
    kernel, posix = (symbols_of(remote, each) for each in (KERNEL_PATH, POSIX_PATH))
    machine = Machine(remote, kernel, posix)
    snapshot = machine.snapshot(machine.stopped_thread(), [guest])
    if program is not None:
        for run in snapshot.runs:
            if run.kind == KIND_IMAGE and run.path == guest:
                run.path, run.is_elsewhere = str(pathlib.Path(program).absolute()), True
    write_aside(path, snapshot, LineReader(remote))
    return snapshot, program or pathlib.PurePosixPath(guest).name
