# SPDX-License-Identifier: Apache-2.0
"""Makes the sealed image: one ELF of kernel, posix/, program and files. The format of the payload is
kernel/include/kernel/image.h. Equal inputs give equal bytes: no clock, no host path, no random."""
import dataclasses
import re
import stat
import struct

from atoll.elf import EM_X86_64, ET_EXEC, PAGE_BYTES, PF_R, PT_LOAD, PT_NOTE, Elf, align_up
from atoll.errors import ToolError
from atoll.native_code import crc32c
from atoll.posix_elf import read_posix
from atoll.tree import guest_path

IMAGE_MAGIC = 0x314547414d494c41
IMAGE_LOCATION_MAGIC = b"IMAGELOC"
IMAGE_VERSION = 4
IMAGE_FILES_MAX = 65536
IMAGE_BLOCK_BYTES = 65536
IMAGE_ARGUMENT_BYTES_MAX = 131072
HOST_NAME_BYTES_MAX = 64
GATE_CALLS_MAX = 0xffff
FLAG_WRITE_EXECUTE, FLAG_VERBOSE, FLAG_FRAMED, FLAG_FIXED_SEED, FLAG_BALANCED, \
    FLAG_DEBUG_WAIT, FLAG_VIRTIO_CONSOLE, FLAG_NEIGHBOUR = 1, 2, 4, 8, 16, 32, 64, 256

HEADER = struct.Struct("<QIIQQIIQIIIIQ" + "QQQQ" * 5 + "IIIIIIIIIIIIIIQII")
FILE = struct.Struct("<QQIIqII")
CRC_INDEX_OFFSET = 32
LOCATION = struct.Struct("<8sIIQQ")

HOLE_BYTES_MIN, HOLES_MAX = 256, 64  # a hole saves its bytes and costs one program header
PIECE_ALIGNMENT = 8

MULTIBOOT2_MAGIC = b"\xd6\x50\x52\xe8"
MULTIBOOT2_WITHIN = 32768
ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


@dataclasses.dataclass
class Manifest:
    """What the image tells the kernel and posix/ to do."""
    program_path: str
    arguments: list
    environment: list = dataclasses.field(default_factory=list)
    working_directory: str = "/"
    host_name: str = "atoll"
    ring: int = 3
    cores: int = 0
    quantum_us: int = 10000
    flags: int = 0
    seed: int = 0
    gate_calls: int = GATE_CALLS_MAX
    port_bytes: int = 0
    policy: list = dataclasses.field(default_factory=list)  # rules as atoll.policy packs them


class _Index:
    """Builds the index pages: a fixed header, then tables and strings behind it."""

    def __init__(self):
        self.data = bytearray(HEADER.size)
        self._strings = {}

    def append(self, data, alignment=1):
        self.data.extend(bytes(-len(self.data) % alignment))
        offset = len(self.data)
        self.data.extend(data)
        return offset

    def string(self, text):
        """The offset of a NUL-terminated string; equal strings share their bytes."""
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        if b"\0" in raw:
            raise ToolError(f"{text!r} holds a NUL", "leave it out")
        if raw not in self._strings:
            self._strings[raw] = self.append(raw + b"\0")
        return self._strings[raw]

    def strings(self, texts):
        """The offset of several strings, one behind the other."""
        raw = b"".join(t.encode("utf-8", "surrogateescape") + b"\0" for t in texts)
        return self.append(raw if raw else b"\0")


def _check_manifest(manifest, entries):
    size = sum(len(t.encode("utf-8", "surrogateescape")) + 1
               for t in manifest.arguments + manifest.environment)
    if size > IMAGE_ARGUMENT_BYTES_MAX:
        raise ToolError(f"arguments and environment take {size} bytes, more than "
                        f"{IMAGE_ARGUMENT_BYTES_MAX}", "put long data into a file: --file")
    if any("\0" in t for t in manifest.arguments + manifest.environment):
        raise ToolError("an argument holds a NUL byte", "leave it out")
    if not 1 <= len(manifest.host_name.encode()) <= HOST_NAME_BYTES_MAX:
        raise ToolError(f"host name {manifest.host_name[:80]!r}: 1 to {HOST_NAME_BYTES_MAX} bytes",
                        "choose another host_name")
    if len(entries) > IMAGE_FILES_MAX:
        raise ToolError(f"{len(entries)} files, more than {IMAGE_FILES_MAX}",
                        "put them into an archive that the program reads")


def _place_posix(posix, offset):
    """Offsets and bytes of the posix sections from `offset` on."""
    rows, body = [], bytearray()
    for section in posix.sections:
        rows.append((offset + len(body), section.address, len(section.content),
                     section.memory_bytes))
        body.extend(section.content)
        body.extend(bytes(-len(body) % PAGE_BYTES))
    return rows, body


def _digests(entries):
    """CRC-32C of each block of each entry."""
    return [crc32c(entry.content[start:start + IMAGE_BLOCK_BYTES]) for _, entry in entries
            for start in range(0, len(entry.content), IMAGE_BLOCK_BYTES)]


def _place_files(entries, offset):
    """Payload offset of each entry (0: no bytes there), and the end."""
    offsets = []
    for _, entry in entries:
        if stat.S_ISDIR(entry.mode) or not entry.content:
            offsets.append(0)
        else:
            offsets.append(offset)
            offset += align_up(len(entry.content))
    return offsets, offset


# @impl ATL-LLR-TOOL-0003~1
def build_payload(posix, tree, manifest):
    """The payload: index, posix sections, files."""
    entries = tree.sorted_entries()
    _check_manifest(manifest, entries)
    index = _Index()
    relocation_offset = index.append(struct.pack(f"<{len(posix.relocations)}I", *posix.relocations), 4)
    file_offset = index.append(bytes(FILE.size * len(entries)), 8)
    digests = _digests(entries)
    digest_offset = index.append(struct.pack(f"<{len(digests)}I", *digests), 4)
    policy_offset = index.append(b"".join(manifest.policy), 8)
    path_offsets = [index.string(path) for path, _ in entries]
    strings = {
        "program": index.string(manifest.program_path),
        "arguments": index.strings(manifest.arguments),
        "environment": index.strings(manifest.environment),
        "directory": index.string(guest_path(manifest.working_directory)),
        "host": index.string(manifest.host_name),
    }
    index.append(b"", PAGE_BYTES)
    index_bytes = len(index.data)
    posix_rows, posix_body = _place_posix(posix, index_bytes)
    posix_end = index_bytes + len(posix_body)
    offsets, image_bytes = _place_files(entries, posix_end)
    for number, (_, entry) in enumerate(entries):
        FILE.pack_into(index.data, file_offset + FILE.size * number, offsets[number],
                       len(entry.content), path_offsets[number], entry.mode, entry.modified_s,
                       entry.user, entry.group)
    HEADER.pack_into(
        index.data, 0, IMAGE_MAGIC, IMAGE_VERSION, HEADER.size, image_bytes, index_bytes, 0,
        crc32c(posix_body), posix_end, manifest.ring, manifest.cores, manifest.flags,
        manifest.quantum_us, manifest.seed, *[field for row in posix_rows for field in row],
        relocation_offset, len(posix.relocations), file_offset, len(entries), strings["program"],
        strings["arguments"], len(manifest.arguments), strings["environment"],
        len(manifest.environment), strings["directory"], strings["host"], manifest.gate_calls,
        digest_offset, len(digests), manifest.port_bytes, policy_offset, len(manifest.policy))
    struct.pack_into("<I", index.data, CRC_INDEX_OFFSET, crc32c(index.data))
    payload = index.data + posix_body
    for _, entry in entries:
        if not stat.S_ISDIR(entry.mode) and entry.content:
            payload += entry.content
            payload += bytes(-len(payload) % PAGE_BYTES)
    if len(payload) != image_bytes:
        raise AssertionError("the packer placed a file wrongly")
    return payload


def _kernel_segments(elf):
    """Copies of the kernel's PT_LOAD contents, checked, in physical order."""
    loads = sorted((s for s in elf.loads if s.memory_bytes), key=lambda s: s.physical)
    if not loads or not any(s.kind == PT_NOTE for s in elf.segments):
        raise ToolError(f"{elf.name}: no PVH note or nothing to load", "build the kernel again")
    for low, high in zip(loads, loads[1:]):
        if low.physical + low.memory_bytes > high.physical:
            raise ToolError(f"{elf.name}: segments overlap at {high.physical:#x}",
                            "build the kernel again")
    return [(s, bytearray(elf.data[s.offset:s.offset + s.file_bytes])) for s in loads]


def _patch_location(segments, flags, physical, size, name):
    """Fills struct image_location; its magic must be there once, with an empty location."""
    found = []
    for _, content in segments:
        position = content.find(IMAGE_LOCATION_MAGIC)
        while position >= 0:
            if position % 8 == 0 and position + LOCATION.size <= len(content):
                _, version, _, where, count = LOCATION.unpack_from(content, position)
                # An instruction that compares the magic also holds its bytes: look at the rest.
                if where == 0 and count == 0 and version <= 0xffff:
                    found.append((content, position, version))
            position = content.find(IMAGE_LOCATION_MAGIC, position + 1)
    if len(found) != 1:
        raise ToolError(f"{name}: struct image_location is there {len(found)} times, not once",
                        "build the kernel again")
    content, position, version = found[0]
    if version != IMAGE_VERSION:
        raise ToolError(f"{name}: reads image version {version}, this tool writes {IMAGE_VERSION}",
                        "build the kernel again")
    LOCATION.pack_into(content, position, IMAGE_LOCATION_MAGIC, version, flags, physical, size)


def _pieces(content):
    """Cuts bytes where zeros stand: [(start, end)] of what a file must hold. The loader fills the
    rest of a segment with zeros, so that page-sized padding costs nothing in the file."""
    holes = [match.span() for match in re.finditer(rb"\0{%d,}" % HOLE_BYTES_MIN, content)]
    holes = sorted(sorted(holes, key=lambda hole: hole[0] - hole[1])[:HOLES_MAX])
    pieces, start = [], 0
    for hole_start, hole_end in holes:
        if hole_start > start:
            pieces.append((start, hole_start))
        start = hole_end
    if start < len(content):
        pieces.append((start, len(content)))
    return pieces


def _rows_of(flags, address, physical, content, memory_bytes, out):
    """Appends content to the file; returns its PT_LOAD rows and where each piece went."""
    rows, places = [], []
    pieces = _pieces(content)
    if not pieces or pieces[0][0] > 0:
        pieces.insert(0, (0, 0))
    for number, (start, end) in enumerate(pieces):
        limit = pieces[number + 1][0] if number + 1 < len(pieces) else memory_bytes
        out.extend(bytes(-len(out) % PIECE_ALIGNMENT))
        rows.append((PT_LOAD, flags, len(out), address + start, physical + start, end - start,
                     limit - start, PIECE_ALIGNMENT))
        places.append((start, end, len(out)))
        out.extend(content[start:end])
    return rows, places


# @impl ATL-LLR-TOOL-0005~1
def _write_elf(elf, segments, payload, physical):
    """A new ELF with the kernel's segments, its notes, and the payload; no sections."""
    notes = [s for s in elf.segments if s.kind == PT_NOTE]
    body, rows, placed = bytearray(), [], []
    for segment, content in segments:
        more, places = _rows_of(segment.flags, segment.address, segment.physical, bytes(content),
                                segment.memory_bytes, body)
        rows += more
        placed.append((segment, places))
    # Identity addresses: GRUB looks for the entry point in virtual ranges, and it is not here.
    rows += _rows_of(PF_R, physical, physical, bytes(payload), len(payload), body)[0]
    rows += [_note_row(elf, note, placed, body) for note in notes]
    start = align_up(ELF_HEADER.size + PROGRAM_HEADER.size * len(rows), PIECE_ALIGNMENT)
    out = bytearray(start) + body
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    ELF_HEADER.pack_into(out, 0, ident, ET_EXEC, EM_X86_64, 1, elf.entry, ELF_HEADER.size, 0, 0,
                         ELF_HEADER.size, PROGRAM_HEADER.size, len(rows), 64, 0, 0)
    for number, (kind, flags, offset, *rest) in enumerate(rows):
        PROGRAM_HEADER.pack_into(out, ELF_HEADER.size + PROGRAM_HEADER.size * number, kind, flags,
                                 offset + start, *rest)
    return out


def _note_row(elf, note, placed, out):
    """The PT_NOTE row of a note: inside the piece that holds it, else appended."""
    for segment, places in placed:
        inside = note.offset - segment.offset
        for start, end, offset in places:
            if start <= inside and inside + note.file_bytes <= end:
                return (PT_NOTE, note.flags, offset + inside - start, note.address, note.physical,
                        note.file_bytes, note.memory_bytes, note.alignment)
    out.extend(bytes(-len(out) % PIECE_ALIGNMENT))
    offset = len(out)
    out.extend(elf.data[note.offset:note.offset + note.file_bytes])
    return (PT_NOTE, note.flags, offset, note.address, note.physical, note.file_bytes,
            note.memory_bytes, note.alignment)


def has_multiboot2_header(image):
    """True if a loader finds a multiboot2 header where it looks."""
    position = image.find(MULTIBOOT2_MAGIC)
    while 0 <= position < MULTIBOOT2_WITHIN:
        if position % 8 == 0 and position + 16 <= len(image):
            magic, architecture, length, checksum = struct.unpack_from("<IIII", image, position)
            if (magic + architecture + length + checksum) & 0xffffffff == 0:
                if position + length <= min(MULTIBOOT2_WITHIN, len(image)):
                    return True
        position = image.find(MULTIBOOT2_MAGIC, position + 1)
    return False


# @impl ATL-LLR-TOOL-0004~1
def build_image(kernel_data, kernel_name, posix_data, posix_name, tree, manifest):
    """The bytes of a bootable image."""
    payload = build_payload(read_posix(posix_data, posix_name), tree, manifest)
    elf = Elf(kernel_data, kernel_name)
    segments = _kernel_segments(elf)
    last = segments[-1][0]
    physical = align_up(last.physical + last.memory_bytes)
    _patch_location(segments, manifest.flags, physical, len(payload), kernel_name)
    image = _write_elf(elf, segments, payload, physical)
    if not has_multiboot2_header(image):
        raise ToolError(f"{kernel_name}: no multiboot2 header within the first {MULTIBOOT2_WITHIN} bytes",
                        "place its section first in the kernel's linker script")
    return image


def image_end(image):
    """First physical byte behind an image's last segment: what a machine must at least have."""
    elf = Elf(image, "image")
    return max(s.physical + s.memory_bytes for s in elf.loads)
