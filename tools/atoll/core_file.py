# SPDX-License-Identifier: Apache-2.0
"""Writes an ELF core file as Linux does (elf(5), core(5); the structures are those of x86-64 in
<sys/procfs.h> and <sys/user.h>), from what snapshot.py has read of a machine; and reads one's trace rings."""
import os
import struct

from atoll.elf import ET_CORE, PAGE_BYTES, PT_LOAD, PT_NOTE, Elf, align_up

_HEADER = struct.Struct("<4s5B7x2HI3QI6H")
_SEGMENT = struct.Struct("<2I6Q")
_SECTION = struct.Struct("<2I4Q2I2Q")
_NOTE = struct.Struct("<3I")
_EM_X86_64 = 62
_MANY_SEGMENTS = 0xffff         # PN_XNUM: the number is in the first section's header
_PRSTATUS, _FPREGSET, _PRPSINFO, _AUXV = 1, 2, 3, 6
_SIGINFO, _FILE, _XSTATE = 0x53494749, 0x46494c45, 0x202
ATOLL_RINGS = 0x4154524e     # of owner "ATOLL": the trace rings, as ./atoll trace keeps them

_REGISTERS = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx",
              "rsi", "rdi")
_XSTATE_BYTES, _XSTATE_MASK = 832, 7   # x87, SSE and AVX
_XCR0_OFFSET, _STATE_OFFSET, _YMM_OFFSET = 464, 512, 576


def _status(thread, signal):
    """struct elf_prstatus."""
    registers = thread.registers
    general = registers.general
    cs, ss, ds, es, fs, gs = registers.segments
    words = [general[name] or 0 for name in _REGISTERS]
    words += [thread.call & (1 << 64) - 1, general["rip"], cs, registers.flags, general["rsp"], ss,
              registers.fs_base, registers.gs_base, ds, es, fs, gs]
    head = struct.pack("<3iH2x2Q4i64x", signal, 0, 0, signal, 0, 0, thread.id, 0, 1, 1)
    return head + struct.pack("<27QI4x", *words, 1)


def _legacy(registers):
    """The first 512 bytes of an XSAVE area."""
    control, status, tags, _, instruction, _, data, opcode = registers.x87_control
    short = sum(1 << i for i in range(8) if tags >> (2 * i) & 3 != 3)
    head = struct.pack("<HHBxHQQII", control & 0xffff, status & 0xffff, short, opcode & 0xffff, instruction,
                       data, registers.mxcsr, 0xffff)
    stack = b"".join(registers.x87[10 * i:10 * i + 10] + bytes(6) for i in range(8))
    return (head + stack + registers.xmm).ljust(512, b"\0")


def _extended(registers):
    area = bytearray(_XSTATE_BYTES)
    area[:512] = _legacy(registers)
    struct.pack_into("<Q", area, _XCR0_OFFSET, _XSTATE_MASK)
    struct.pack_into("<Q", area, _STATE_OFFSET, _XSTATE_MASK)
    area[_YMM_OFFSET:] = registers.ymm_high
    return bytes(area)


def _process(name, arguments):
    """struct elf_prpsinfo."""
    text = " ".join(arguments).encode("utf-8", "surrogateescape")
    return struct.pack("<BcBb4xQ2I4i16s80s", 0, b"R", 0, 0, 0, 0, 0, 1, 0, 1, 1,
                       name.encode("utf-8", "surrogateescape")[:15], text[:79])


def _files(runs):
    """NT_FILE: where parts of files are."""
    mapped = [run for run in runs if run.path]
    rows = b"".join(struct.pack("<3Q", run.start, run.start + run.bytes, run.offset // PAGE_BYTES)
                    for run in mapped)
    names = b"".join(os.fsencode(run.path) + b"\0" for run in mapped)
    return struct.pack("<2Q", len(mapped), PAGE_BYTES) + rows + names


def _note(kind, content, owner=b"CORE"):
    owner += b"\0"
    return (_NOTE.pack(len(owner), len(content), kind) + owner.ljust(align_up(len(owner), 4), b"\0")
            + content.ljust(align_up(len(content), 4), b"\0"))


def _notes(snapshot):
    first, *others = snapshot.threads
    signal = snapshot.signal_information
    number = int.from_bytes(signal[:4], "little")
    parts = [_note(_PRSTATUS, _status(first, number)),
             _note(_PRPSINFO, _process(first.name, snapshot.arguments)),
             _note(_SIGINFO, signal), _note(_AUXV, snapshot.auxiliary), _note(_FILE, _files(snapshot.runs)),
             _note(_FPREGSET, _legacy(first.registers)), _note(_XSTATE, _extended(first.registers), b"LINUX")]
    for thread in others:
        parts += [_note(_PRSTATUS, _status(thread, number)), _note(_FPREGSET, _legacy(thread.registers)),
                  _note(_XSTATE, _extended(thread.registers), b"LINUX")]
    if snapshot.rings:
        parts.append(_note(ATOLL_RINGS, snapshot.rings, b"ATOLL"))
    return b"".join(parts)


def _segment_flags(rights):
    return (rights & 1) << 2 | (rights & 2) | rights >> 2 & 1   # of PROT_ and of PF_ bits


# @impl ATL-HLR-DEBUG-0700~1 ATL-LLR-DEBUG-0703~1
def write_core(stream, snapshot, read):
    """Writes all of it; read(run) gives the pieces of a run's bytes in order. What is zero becomes a hole."""
    notes = _notes(snapshot)
    count = len(snapshot.runs) + 1
    is_many = count >= _MANY_SEGMENTS
    table = _HEADER.size + (_SECTION.size if is_many else 0)
    place = table + count * _SEGMENT.size
    rows = [_SEGMENT.pack(PT_NOTE, 0, place, 0, 0, len(notes), 0, 4)]
    at = align_up(place + len(notes), PAGE_BYTES)
    for run in snapshot.runs:
        held = run.bytes if run.is_kept else 0
        rows.append(_SEGMENT.pack(PT_LOAD, _segment_flags(run.rights), at, run.start, 0, held, run.bytes,
                                  PAGE_BYTES))
        at += held
    stream.write(_HEADER.pack(b"\x7fELF", 2, 1, 1, 0, 0, ET_CORE, _EM_X86_64, 1, 0, table,
                              _HEADER.size if is_many else 0, 0, _HEADER.size, _SEGMENT.size,
                              min(count, _MANY_SEGMENTS), _SECTION.size if is_many else 0, int(is_many), 0))
    if is_many:
        stream.write(_SECTION.pack(0, 0, 0, 0, 0, 0, 0, count, 0, 0))
    stream.write(b"".join(rows) + notes)
    position = align_up(place + len(notes), PAGE_BYTES)
    for run in snapshot.runs:
        if run.is_kept:
            _write_run(stream, position, run, read)
            position += run.bytes
    stream.truncate(position)


def _write_run(stream, position, run, read):
    for piece in read(run):
        for start in range(0, len(piece), PAGE_BYTES):
            page = piece[start:start + PAGE_BYTES]
            if page.count(0) != len(page):
                stream.seek(position + start)
                stream.write(page)
        position += len(piece)


def rings_of(data, name):
    """The trace rings of a core file, as bytes; None: it has none. A file that is damaged is a ToolError."""
    elf = Elf(data, name)
    for segment in elf.segments if elf.type == ET_CORE else ():
        at, end = segment.offset, segment.offset + segment.file_bytes
        while segment.kind == PT_NOTE and at + _NOTE.size <= end:
            owner_bytes, content_bytes, kind = _NOTE.unpack_from(data, at)
            owner = at + _NOTE.size
            content = owner + align_up(owner_bytes, 4)
            if content + content_bytes > end:
                break
            if kind == ATOLL_RINGS and data[owner:owner + owner_bytes] == b"ATOLL\0":
                return bytes(data[content:content + content_bytes])
            at = content + align_up(content_bytes, 4)
    return None
