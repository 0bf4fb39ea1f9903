# SPDX-License-Identifier: Apache-2.0
"""Reads 64-bit little-endian ELF files. Every offset is checked against the file before use, so a
damaged file ends in a ToolError and never in a Python exception."""
import dataclasses
import struct

from atoll.errors import ToolError

PAGE_BYTES = 4096

ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
EM_X86_64 = 62
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_TLS = 1, 2, 3, 4, 7
PF_X, PF_W, PF_R = 1, 2, 4
SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL, SHT_DYNSYM, SHT_RELR = 2, 4, 8, 9, 11, 19
SHF_ALLOC = 2
SHN_ABS = 0xfff1
STT_FUNC, STT_GNU_IFUNC = 2, 10

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")

MACHINE_NAMES = {
    3: "32-bit x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 22: "S/390", 40: "32-bit Arm",
    183: "AArch64", 243: "RISC-V", 258: "LoongArch",
}


def align_up(value, alignment=PAGE_BYTES):
    return (value + alignment - 1) // alignment * alignment


@dataclasses.dataclass(frozen=True)
class Segment:
    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    file_bytes: int
    memory_bytes: int
    alignment: int

    @property
    def end(self):
        return self.address + self.memory_bytes


@dataclasses.dataclass(frozen=True)
class Section:
    name_offset: int
    kind: int
    flags: int
    address: int
    offset: int
    bytes: int
    link: int
    information: int
    entry_bytes: int


class Elf:
    """One file. `name` is how messages call it."""

    def __init__(self, data, name):
        self.data = data
        self.name = name
        self._check_identity()
        fields = _HEADER.unpack_from(data, 0)
        (_, self.type, self.machine, _, self.entry, self._segment_table, self._section_table, _,
         self.header_bytes, self._segment_entry, self._segment_count, self._section_entry,
         self._section_count, self._names_index) = fields
        self.os_abi = data[7]
        if self.machine != EM_X86_64:
            built_for = MACHINE_NAMES.get(self.machine, f"machine number {self.machine}")
            raise ToolError(f"{name}: built for {built_for}, not for x86-64",
                            "build it on or for x86-64 (gcc -m64, GOARCH=amd64)")
        self.segments = self._read_segments()
        self._sections = None

    def _check_identity(self):
        data, name = self.data, self.name
        if len(data) == 0:
            raise ToolError(f"{name}: the file is empty", "give the path of a static ELF program")
        if bytes(data[:2]) == b"#!":
            raise ToolError(f"{name}: a script, not an ELF program",
                            "run a statically linked interpreter and pass the script by --file")
        if bytes(data[:4]) != b"\x7fELF":
            raise ToolError(f"{name}: not an ELF program", "give the path of a static ELF program")
        if len(data) < _HEADER.size:
            raise ToolError(f"{name}: truncated: {len(data)} bytes hold no ELF header",
                            "copy or build the file again")
        if data[4] != 2:
            raise ToolError(f"{name}: a 32-bit program; Atoll runs 64-bit programs",
                            "build it for x86-64 (gcc -m64)")
        if data[5] != 1:
            raise ToolError(f"{name}: big-endian, not for x86-64", "build it for x86-64")

    def _table(self, what, offset, count, entry, layout):
        if count and entry != layout.size:
            raise ToolError(f"{self.name}: damaged: entries of the {what} table have {entry} "
                            f"bytes, not {layout.size}", "copy or build the file again")
        if offset + count * entry > len(self.data):
            raise ToolError(f"{self.name}: truncated: the {what} table ends at byte "
                            f"{offset + count * entry}, the file at {len(self.data)}",
                            "copy or build the file again")
        return [layout.unpack_from(self.data, offset + i * entry) for i in range(count)]

    def _read_segments(self):
        if self._segment_count == 0xffff:
            raise ToolError(f"{self.name}: more than 65534 program headers", "link it again")
        rows = self._table("program header", self._segment_table, self._segment_count,
                           self._segment_entry, _PROGRAM_HEADER)
        segments = [Segment(*row) for row in rows]
        for number, segment in enumerate(segments):
            if segment.kind in (PT_LOAD, PT_TLS, PT_NOTE, PT_DYNAMIC, PT_INTERP):
                self._check_segment(number, segment)
        return segments

    def _check_segment(self, number, segment):
        if segment.offset + segment.file_bytes > len(self.data):
            raise ToolError(
                f"{self.name}: truncated: segment {number} ends at byte "
                f"{segment.offset + segment.file_bytes}, the file at {len(self.data)}",
                "copy or build the file again")
        if segment.kind in (PT_LOAD, PT_TLS) and segment.file_bytes > segment.memory_bytes:
            raise ToolError(f"{self.name}: damaged: segment {number} has {segment.file_bytes} bytes "
                            f"in the file but {segment.memory_bytes} in memory", "build it again")
        if segment.end >= 1 << 64:
            raise ToolError(f"{self.name}: damaged: segment {number} wraps around the address space",
                            "build it again")

    @property
    def loads(self):
        return [s for s in self.segments if s.kind == PT_LOAD]

    @property
    def sections(self):
        if self._sections is None:
            rows = self._table("section header", self._section_table, self._section_count,
                               self._section_entry, _SECTION_HEADER)
            self._sections = [Section(name, kind, flags, address, offset, size, link, info, entry)
                              for name, kind, flags, address, offset, size, link, info, _, entry
                              in rows]
        return self._sections

    def content(self, section):
        """The bytes of a section; a NOBITS section has none."""
        if section.kind == SHT_NOBITS:
            return b""
        if section.offset + section.bytes > len(self.data):
            raise ToolError(f"{self.name}: truncated: a section ends at byte "
                            f"{section.offset + section.bytes}, the file at {len(self.data)}",
                            "build it again")
        return bytes(self.data[section.offset:section.offset + section.bytes])

    def symbols(self):
        """Name -> value of every defined symbol in .symtab."""
        found = {}
        for section in self.sections:
            if section.kind != SHT_SYMTAB or section.link >= len(self.sections):
                continue
            names = self.content(self.sections[section.link])
            for row in _SYMBOL.iter_unpack(self.content(section)):
                name_offset, _, _, where, value, _ = row
                if where != 0 and name_offset < len(names):
                    end = names.index(b"\0", name_offset)
                    found[names[name_offset:end].decode("utf-8", "replace")] = value
        return found

    def code_symbols(self):
        """(address, whether a function begins there) of every symbol in an executable segment."""
        ranges = [(s.address, s.end) for s in self.loads if s.flags & PF_X]
        found = set()
        for section in self.sections:
            if section.kind not in (SHT_SYMTAB, SHT_DYNSYM):
                continue
            for _, information, _, where, value, _ in _SYMBOL.iter_unpack(self.content(section)):
                if where not in (0, SHN_ABS) and any(low <= value < high for low, high in ranges):
                    found.add((value, information & 0xf in (STT_FUNC, STT_GNU_IFUNC)))
        return found

    def section_named(self, name):
        """The section of that name, or None."""
        if not 0 < self._names_index < len(self.sections):
            return None
        names = self.content(self.sections[self._names_index])
        wanted = name + b"\0"
        return next((s for s in self.sections if names[s.name_offset:s.name_offset + len(wanted)] == wanted), None)

    def memory(self, address, count):
        """`count` bytes as they are in memory from `address` on; what no file byte backs is 0."""
        image = bytearray(count)
        for segment in self.loads:
            start = max(address, segment.address)
            end = min(address + count, segment.address + segment.file_bytes)
            if start < end:
                source = segment.offset + start - segment.address
                image[start - address:end - address] = self.data[source:source + end - start]
        return image
