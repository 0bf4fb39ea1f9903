# SPDX-License-Identifier: Apache-2.0
"""Decides whether a program can run on Atoll, before anything is packed. posix/load checks the same
again at boot, for images that were damaged or made by others."""
import struct

from atoll.elf import (ET_CORE, ET_DYN, ET_EXEC, ET_REL, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_TLS,
                       Elf)
from atoll.errors import ToolError

USER_FLOOR = 64 * 1024
SLOT_BYTES = 1 << 39  # GATE_SLOT_BYTES
DT_NEEDED = 1
OS_ABI_NAMES = {1: "HP-UX", 2: "NetBSD", 6: "Solaris", 7: "AIX", 9: "FreeBSD", 12: "OpenBSD"}
LINK_STATIC = "link it statically: musl-gcc -static, gcc -static, or CGO_ENABLED=0 go build"


# @impl ATL-LLR-TOOL-0001~1
def check_program(data, name, cores=1, allow_write_execute=False):
    """Raises ToolError unless `data` is a static x86-64 Linux program that the loader accepts."""
    elf = Elf(data, name)
    _check_kind(elf)
    _check_static(elf)
    _check_segments(elf, cores, allow_write_execute)
    if not any(s.flags & PF_X and s.address <= elf.entry < s.end for s in elf.loads):
        raise ToolError(f"{name}: the entry point {elf.entry:#x} is in no executable segment",
                        "build it again; a shared library cannot be run")
    return elf


def _check_kind(elf):
    if elf.os_abi in OS_ABI_NAMES:
        raise ToolError(f"{elf.name}: built for {OS_ABI_NAMES[elf.os_abi]}, not for Linux",
                        "build it for Linux")
    wrong = {ET_REL: ("an object file", "link it: musl-gcc -static -o program " + elf.name),
             ET_CORE: ("a core dump", "give the path of the program itself")}
    if elf.type in wrong:
        what, hint = wrong[elf.type]
        raise ToolError(f"{elf.name}: {what}, not a program", hint)
    if elf.type not in (ET_EXEC, ET_DYN):
        raise ToolError(f"{elf.name}: ELF type {elf.type} is not a program", "build it again")
    if not elf.loads:
        raise ToolError(f"{elf.name}: nothing to load: no PT_LOAD segment", "link it again")


def _check_static(elf):
    if any(s.kind == PT_INTERP for s in elf.segments):
        raise ToolError(f"{elf.name}: dynamically linked; an image has no dynamic linker", LINK_STATIC)
    for segment in elf.segments:
        if segment.kind != PT_DYNAMIC:
            continue
        table = elf.data[segment.offset:segment.offset + segment.file_bytes // 16 * 16]
        for tag, _ in struct.iter_unpack("<QQ", table):
            if tag == 0:
                break
            if tag == DT_NEEDED:
                raise ToolError(f"{elf.name}: needs shared libraries", LINK_STATIC)


def _check_segments(elf, cores, allow_write_execute):
    top = SLOT_BYTES * max(cores, 1)
    previous = None
    for segment in sorted(elf.loads, key=lambda s: s.address):
        where = f"{elf.name}: segment at {segment.address:#x}"
        if elf.type == ET_EXEC and segment.address < USER_FLOOR:
            raise ToolError(f"{where}: addresses below {USER_FLOOR:#x} are never mapped",
                            "link it at 0x400000, the linker's default")
        if segment.end > top:
            raise ToolError(f"{where}: {segment.memory_bytes:#x} bytes end beyond {top:#x}, the end "
                            f"of the address space of {max(cores, 1)} core(s)",
                            "link it lower, make its .bss smaller, or give it more --cores")
        if segment.file_bytes and (segment.address - segment.offset) % 4096:
            raise ToolError(f"{where}: offset and address differ within a page",
                            "link it with the default page size")
        if segment.flags & PF_W and segment.flags & PF_X and not allow_write_execute:
            raise ToolError(f"{where}: writable and executable at once",
                            "link it without -N and -z execstack, or allow it: --allow-write-execute")
        if previous and segment.address < previous.end:
            raise ToolError(f"{where}: overlaps the segment at {previous.address:#x}",
                            "the file is damaged: link it again")
        previous = segment
    if sum(1 for s in elf.segments if s.kind == PT_TLS) > 1:
        raise ToolError(f"{elf.name}: more than one PT_TLS segment", "the file is damaged: link it again")
