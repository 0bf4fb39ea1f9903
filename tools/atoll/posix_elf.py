# SPDX-License-Identifier: Apache-2.0
"""Takes posix.elf apart into the five sections of an image and its list of relocations. The bounds
come from symbols of posix/posix.ld."""
import dataclasses
import struct

from atoll.elf import PAGE_BYTES, SHF_ALLOC, SHT_REL, SHT_RELA, SHT_RELR, Elf, align_up
from atoll.errors import ToolError

R_X86_64_NONE, R_X86_64_RELATIVE = 0, 8
RELOCATION_NAMES = {1: "R_X86_64_64", 5: "R_X86_64_COPY", 6: "R_X86_64_GLOB_DAT",
                    7: "R_X86_64_JUMP_SLOT", 16: "R_X86_64_DTPMOD64", 17: "R_X86_64_DTPOFF64",
                    18: "R_X86_64_TPOFF64", 37: "R_X86_64_IRELATIVE"}
POSIX_MAGIC = b"ATLPOSIX"
_BUG = "this is a fault of posix/, not of your program"

# Section name -> start, end of what the file holds (None: nothing), end in memory.
_BOUNDS = {
    "text": ("__text_start", "__text_end", "__text_end"),
    "rodata": ("__rodata_start", "__rodata_end", "__rodata_end"),
    "relro": ("__relro_start", "__relro_end", "__relro_end"),
    "data": ("__data_start", "__data_file_end", "__data_end"),
    "percore": ("__percore_start", None, "__percore_end"),
}


@dataclasses.dataclass
class PosixSection:
    address: int
    content: bytearray
    memory_bytes: int


@dataclasses.dataclass
class Posix:
    sections: list      # in the order of enum image_posix_section
    relocations: list   # offsets from posix's base, sorted


def _section(elf, symbols, name):
    start_name, file_end_name, end_name = _BOUNDS[name]
    for symbol in (start_name, file_end_name, end_name):
        if symbol is not None and symbol not in symbols:
            raise ToolError(f"{elf.name}: the symbol {symbol} is missing", _BUG)
    start, end = symbols[start_name], symbols[end_name]
    file_end = symbols[file_end_name] if file_end_name else start
    if start % PAGE_BYTES or not start <= file_end <= end:
        raise ToolError(f"{elf.name}: bad bounds of {name}: {start:#x} {file_end:#x} {end:#x}", _BUG)
    return PosixSection(start, elf.memory(start, file_end - start), align_up(end - start))


def _relocation_rows(elf):
    for section in elf.sections:
        if section.kind in (SHT_REL, SHT_RELR) and section.flags & SHF_ALLOC:
            raise ToolError(f"{elf.name}: relocations in a form that the packer does not read",
                            "link it with -z nopack-relative-relocs")
        if section.kind == SHT_RELA and section.flags & SHF_ALLOC:
            yield from struct.iter_unpack("<QQq", elf.content(section))


def _blank_relocations(elf, rodata):
    """Clears the relocation table: the index has the offsets, the words their addends. Zeros cost
    nothing in an image."""
    for section in elf.sections:
        start = section.address - rodata.address
        if section.kind == SHT_RELA and section.flags & SHF_ALLOC and 0 <= start < len(rodata.content):
            end = min(start + section.bytes, len(rodata.content))
            rodata.content[start:end] = bytes(end - start)


def _apply(elf, sections, offset, addend):
    """Stores the addend where the kernel will add the base."""
    for section in sections[2:4]:
        position = offset - section.address
        if 0 <= position and position + 8 <= len(section.content):
            struct.pack_into("<q", section.content, position, addend)
            return
    raise ToolError(f"{elf.name}: relocation at {offset:#x}, outside of .data and .data.rel.ro",
                    f"text and rodata must not need relocations; {_BUG}")


# @impl ATL-LLR-TOOL-0002~1
def read_posix(data, name):
    """Posix from the bytes of posix.elf."""
    elf = Elf(data, name)
    symbols = elf.symbols()
    sections = [_section(elf, symbols, section) for section in _BOUNDS]
    previous_end = 0
    for section in sections:
        if section.address < previous_end:
            raise ToolError(f"{name}: sections overlap at {section.address:#x}", _BUG)
        previous_end = section.address + section.memory_bytes
    if bytes(sections[1].content[:8]) != POSIX_MAGIC:
        raise ToolError(f"{name}: .rodata does not begin with struct gate_posix_header", _BUG)
    offsets = []
    for offset, information, addend in _relocation_rows(elf):
        kind = information & 0xffffffff
        if kind == R_X86_64_NONE:
            continue
        if kind != R_X86_64_RELATIVE:
            kind_name = RELOCATION_NAMES.get(kind, f"type {kind}")
            raise ToolError(f"{name}: relocation {kind_name} at {offset:#x}; only "
                            "R_X86_64_RELATIVE is possible", _BUG)
        if offset % 8:
            raise ToolError(f"{name}: relocation at {offset:#x} is not aligned to 8", _BUG)
        _apply(elf, sections, offset, addend)
        offsets.append(offset)
    _blank_relocations(elf, sections[1])
    return Posix(sections, sorted(offsets))
