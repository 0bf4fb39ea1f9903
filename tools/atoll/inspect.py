# SPDX-License-Identifier: Apache-2.0
"""`./atoll inspect`: what is in an image, and whether it is whole. The file may come from anybody: its
ELF headers are judged here, its payload by the kernel's own validator, before a field is used."""
import argparse
import collections
import hashlib
import json
import mmap
import stat
import struct
import sys

from atoll.elf import PAGE_BYTES, PF_X, PT_NOTE, Elf, align_up
from atoll.errors import ToolError
from atoll.gate import names_of
from atoll.image import (FILE, FLAG_BALANCED, FLAG_FIXED_SEED, FLAG_FRAMED, FLAG_NEIGHBOUR, FLAG_VERBOSE,
                         FLAG_VIRTIO_CONSOLE, FLAG_WRITE_EXECUTE, HEADER, IMAGE_BLOCK_BYTES, IMAGE_LOCATION_MAGIC,
                         IMAGE_VERSION, LOCATION, has_multiboot2_header)
from atoll.machine import CORES_MAX
from atoll.native_code import crc32c, image_verdict
from atoll.pack import read_input
from atoll.policy import RULE, policy_texts
from atoll.program import check_program

LOADED_END_MAX = 1 << 32  # loaders put nothing higher
STUB_LINE = b"atoll: debug image: whoever"
CHUNK_BYTES = 1 << 20
PVH_NOTE = struct.Struct("<III4s")
PVH_NOTE_TYPE = 18  # XEN_ELFNOTE_PHYS32_ENTRY

Header = collections.namedtuple("Header", """magic version header_bytes image_bytes index_bytes crc_index
    crc_posix posix_end ring cores flags quantum_us seed relocation_offset relocation_count file_offset
    file_count program arguments argument_count environment environment_count directory host_name
    gate_calls digest_offset digest_count port_bytes policy policy_count""")


class Damaged(ToolError):
    """The file is no whole image."""

    def __init__(self, name, what):
        super().__init__(f"{name}: damaged: {what}", "pack it again, or copy it again")


class _Memory:
    """What a loader would put into memory, from the lowest byte to the highest."""

    def __init__(self, elf):
        self.loads = sorted((s for s in elf.loads if s.memory_bytes), key=lambda s: s.physical)
        if not self.loads:
            raise Damaged(elf.name, "nothing to load")
        for low, high in zip(self.loads, self.loads[1:]):
            if low.physical + low.memory_bytes > high.physical:
                raise Damaged(elf.name, f"segments overlap at {high.physical:#x}")
        self.start = self.loads[0].physical
        self.end = self.loads[-1].physical + self.loads[-1].memory_bytes
        if self.end > LOADED_END_MAX:
            raise Damaged(elf.name, f"it reaches to {self.end:#x}, beyond 4 GiB")
        try:
            # Untouched pages take no memory.
            self.bytes = mmap.mmap(-1, self.end - self.start, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise ToolError(f"{elf.name}: {self.end - self.start} bytes: {error.strerror}") from None
        for segment in self.loads:
            at = segment.physical - self.start
            self.bytes[at:at + segment.file_bytes] = \
                elf.data[segment.offset:segment.offset + segment.file_bytes]

    def holds(self, start, count):
        """True if segments cover all of it."""
        for segment in self.loads:
            if segment.physical <= start < segment.physical + segment.memory_bytes:
                taken = min(count, segment.physical + segment.memory_bytes - start)
                start, count = start + taken, count - taken
        return count == 0

    def chunks(self, start, count):
        """Its bytes from a physical address on, in pieces."""
        at = start - self.start
        for offset in range(at, at + count, CHUNK_BYTES):
            yield self.bytes[offset:min(offset + CHUNK_BYTES, at + count)]

    def sha256(self, start, count):
        digest = hashlib.sha256()
        for chunk in self.chunks(start, count):
            digest.update(chunk)
        return digest.hexdigest()


def _find_location(elf, memory):
    """(flags, physical address, bytes) of the payload, which lies behind the kernel that names it."""
    for segment in memory.loads:
        first = segment.physical - memory.start
        # The file may end with the location's last zeros left out.
        end = min(first + segment.file_bytes, first + segment.memory_bytes - LOCATION.size + 1)
        for at in range(align_up(first, 8), end, 8):
            magic, version, flags, physical, count = LOCATION.unpack_from(memory.bytes, at)
            if (magic == IMAGE_LOCATION_MAGIC and version == IMAGE_VERSION and count >= HEADER.size
                    and physical % PAGE_BYTES == 0 and physical >= segment.physical + segment.file_bytes
                    and memory.holds(physical, count)):
                memory.bytes[at + 12:at + LOCATION.size] = bytes(LOCATION.size - 12)
                return flags, physical, count
    raise ToolError(f"{elf.name}: no image of this version of Atoll, or its kernel is damaged",
                    "make one with ./atoll pack")


def _pvh_entry(elf):
    """The entry of the PVH note."""
    for segment in elf.segments:
        note = bytes(elf.data[segment.offset:segment.offset + segment.file_bytes])
        if segment.kind != PT_NOTE or len(note) < PVH_NOTE.size + 4:
            continue
        name_bytes, value_bytes, kind, name = PVH_NOTE.unpack_from(note)
        if (name_bytes, kind, name) == (4, PVH_NOTE_TYPE, b"Xen\0") and value_bytes in (4, 8):
            entry = int.from_bytes(note[PVH_NOTE.size:PVH_NOTE.size + 4], "little")
            if any(s.flags & PF_X and s.physical <= entry < s.physical + s.file_bytes for s in elf.loads):
                return entry
            raise Damaged(elf.name, f"the PVH entry {entry:#x} is not in the kernel's code")
    raise Damaged(elf.name, "no PVH note")


class _Payload:
    """A payload that the kernel's validator has passed: offsets of its index need no check."""

    # @impl ATL-LLR-TOOL-0143~1
    def __init__(self, elf, memory, physical, count):
        self.name, self.memory, self.physical = elf.name, memory, physical
        self.at = physical - memory.start
        reason = image_verdict(memory.bytes, self.at, count)
        if reason is not None:
            raise Damaged(elf.name, reason)
        fields = HEADER.unpack_from(memory.bytes, self.at)
        self.header = Header(*fields[:13], *fields[33:])

    def string(self, offset):
        start = self.at + offset
        return self.memory.bytes[start:self.memory.bytes.find(b"\0", start)]

    def strings(self, offset, count):
        found = []
        for _ in range(count):
            found.append(self.string(offset))
            offset += len(found[-1]) + 1
        return [_text(raw) for raw in found]

    def files(self):
        """A dictionary for each file, in the order of paths; every content is checked."""
        rows = []
        for number in range(self.header.file_count):
            row = FILE.unpack_from(self.memory.bytes,
                                   self.at + self.header.file_offset + FILE.size * number)
            offset, count, path, mode, modified_s, user, group = row
            rows.append({"path": _text(self.string(path)), "mode": mode, "bytes": count, "offset": offset,
                         "user": user, "group": group, "modified_s": modified_s})
        self._check_places(rows)
        digests = self._digests(sum(-(-row["bytes"] // IMAGE_BLOCK_BYTES) for row in rows))
        for row in rows:
            start = self.physical + row["offset"]
            for chunk in self.memory.chunks(start, row["bytes"]):
                for at in range(0, len(chunk), IMAGE_BLOCK_BYTES):
                    if crc32c(chunk[at:at + IMAGE_BLOCK_BYTES]) != next(digests):
                        raise Damaged(self.name, f"{_shown(row['path'])} does not have its checksums")
            if stat.S_ISLNK(row["mode"]):
                row["target"] = _text(self.content(row))
            elif stat.S_ISREG(row["mode"]):
                row["sha256"] = self.memory.sha256(start, row["bytes"])
        return rows

    def _digests(self, count):
        """Those of all blocks, one after the other."""
        start, end = self.header.digest_offset, self.header.index_bytes
        if self.header.digest_count != count or start % 4 or start + 4 * count > end:
            raise Damaged(self.name, "the digests of its files are not in its index")
        return iter(struct.unpack_from(f"<{count}I", self.memory.bytes, self.at + start))

    def piece(self, offset, count):
        return self.memory.bytes[self.at + offset:self.at + offset + count]

    def content(self, row):
        return self.piece(row["offset"], row["bytes"])

    def _check_places(self, rows):
        """Contents follow each other; the rest of the last page of each is zero."""
        end = self.header.posix_end
        for row in sorted((r for r in rows if r["bytes"]), key=lambda r: r["offset"]):
            if row["offset"] != end:
                raise Damaged(self.name, f"{_shown(row['path'])} does not stand behind the file before it")
            end += align_up(row["bytes"])
            padding = self.at + row["offset"] + row["bytes"]
            if any(self.memory.bytes[padding:self.at + end]):
                raise Damaged(self.name, f"bytes behind {_shown(row['path'])} are not zero")
        if end != self.header.image_bytes:
            raise Damaged(self.name, "bytes behind the last file")


def _text(raw):
    return bytes(raw).decode("utf-8", "surrogateescape")


def _shown(text):
    """For a terminal: nothing that it would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
                   for c in text)


def _settings(payload):
    header = payload.header
    return {
        "ring": header.ring, "cores": header.cores or None, "quantum_us": header.quantum_us,
        "placement": "balanced" if header.flags & FLAG_BALANCED else "fixed",
        "allow_write_execute": bool(header.flags & FLAG_WRITE_EXECUTE),
        "working_directory": _text(payload.string(header.directory)),
        "host_name": _text(payload.string(header.host_name)),
        "arguments": payload.strings(header.arguments, header.argument_count),
        "environment": payload.strings(header.environment, header.environment_count),
        "gate": names_of(header.gate_calls),
        "console": ("virtio, " if header.flags & FLAG_VIRTIO_CONSOLE else "")
                   + ("framed" if header.flags & FLAG_FRAMED else "plain"),
        "neighbour": bool(header.flags & FLAG_NEIGHBOUR),
        "port_bytes": header.port_bytes,
        "policy": policy_texts(payload.piece(header.policy, header.policy_count * RULE.size)),
        "verbose": bool(header.flags & FLAG_VERBOSE),
        "seed": header.seed if header.flags & FLAG_FIXED_SEED else None,
    }


# @impl ATL-LLR-TOOL-0142~1
def inspect_image(data, name):
    """What is in an image, as a dictionary; Damaged or another ToolError if it is not whole."""
    if data and bytes(data[:4]) != b"\x7fELF" and bytes(data[:2]) != b"#!":
        raise ToolError(f"{name}: not an ELF file, so no image", "give what ./atoll pack has made")
    elf = Elf(data, name)
    memory = _Memory(elf)
    flags, physical, count = _find_location(elf, memory)
    pvh = _pvh_entry(elf)
    if not has_multiboot2_header(data):
        raise Damaged(name, "no multiboot2 header")
    payload = _Payload(elf, memory, physical, count)
    header, settings, files = payload.header, _settings(payload), payload.files()
    if flags != header.flags:
        raise Damaged(name, "the kernel and the header name different flags")
    # The stub's own line: a kernel that has it cannot do without.
    settings["debug"] = memory.bytes.find(STUB_LINE, 0, physical - memory.start) >= 0
    path = _text(payload.string(header.program))
    program = next((f for f in files if f["path"] == path and stat.S_ISREG(f["mode"])), None)
    if program is None:
        raise Damaged(name, f"the program {_shown(path)} is not in it")
    check_program(payload.content(program), f"{name}: {_shown(path)}", header.cores or CORES_MAX,
                  settings["allow_write_execute"])
    return {
        "image": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "memory": {"start": memory.start, "end": memory.end, "pvh_entry": pvh},
        "kernel": {"bytes": physical - memory.start,
                   "sha256": memory.sha256(memory.start, physical - memory.start)},
        "posix": {"bytes": header.posix_end - header.index_bytes,
                  "sha256": memory.sha256(physical + header.index_bytes,
                                          header.posix_end - header.index_bytes)},
        "program": {key: program[key] for key in ("path", "bytes", "sha256")},
        "settings": settings,
        "files": files,
    }


def show(name, facts):
    image, memory, settings = facts["image"], facts["memory"], facts["settings"]
    print(f"{name}: whole, {image['bytes']} bytes, SHA-256 {image['sha256']}")
    print(f"boots by PVH (entry {memory['pvh_entry']:#x}) and multiboot2, loaded to {memory['start']:#x} .. "
          f"{memory['end']:#x}")
    for part in ("kernel", "posix", "program"):
        row = facts[part]
        print(f"{part:<8} {row['bytes']:>10} {row['sha256']} {_shown(row.get('path', ''))}".rstrip())
    for key, value in settings.items():
        words = value if isinstance(value, list) else [value]
        print(f"{key:<20}" + " ".join(_shown(json.dumps(word, ensure_ascii=False)) for word in words))
    print(f"{len(facts['files'])} files")
    for row in facts["files"]:
        what = row.get("sha256") or ("-> " + _shown(row["target"]) if "target" in row else "")
        print(f"{stat.filemode(row['mode'])} {row['user']}:{row['group']} {row['bytes']:>10} "
              f"{row['modified_s']} {_shown(row['path'])} {what}".rstrip())


def inspect_parser():
    parser = argparse.ArgumentParser(
        prog="./atoll inspect", description="Shows what is in an image, and checks all of it: exit status 1 "
        "if it is damaged. The kernel itself has no checksum: compare its SHA-256.")
    parser.add_argument("image", metavar="IMAGE", help="made by ./atoll pack")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")
    return parser


def inspect_command(words):
    options = inspect_parser().parse_args(words)
    facts = inspect_image(read_input(options.image, "packed image"), options.image)
    if options.json:
        json.dump(facts, sys.stdout, indent=1)
        print()
    else:
        show(_shown(options.image), facts)
    return 0
