# SPDX-License-Identifier: Apache-2.0
"""The trace rings of a machine, read from its memory while it runs and when it has ended. The machine takes no part
in it but for one frame on the console that says where they lie (debug/trace/announce.c): so reading costs it
nothing, and a machine that hangs is read like any other. It may be hostile: what is read is bounded by what this
tool knows of the rings' sizes, and goes into pieces that records.py judges."""
import mmap
import os
import struct
import threading

from atoll.elf import PAGE_BYTES
from atoll.errors import ToolError
from atoll.machine import CORES_MAX
from atoll.trace.records import (CLOCK, MAGIC, MAGIC_NAMES, MAGIC_POSIX, MAGIC_PROGRAM, NAME_BYTES, NAMES_MAX, RECORD,
                                 SLOT_BYTES, piece)

MIB = 1 << 20
ANNOUNCEMENT = struct.Struct("<8sIIQQ")     # debug/trace/announce.c; then a ring's address for each core
ANNOUNCEMENT_MAGIC = b"ALTRACE2"
KERNEL_RECORDS_MAX = 1 << 20
POINTER = "posix_trace_rings"               # posix/core/traced.c
# posix/include/atoll/trace_abi.h
RINGS = struct.Struct("<8sIIQQ1120x")
RINGS_MAGIC = b"ATOLLIPS"
SLOTS = 4096
CLAIMED_BYTES = 128
RING_BYTES = CLAIMED_BYTES + SLOTS * SLOT_BYTES
SOURCES = (MAGIC_PROGRAM, MAGIC_POSIX)
# Page tables: SDM volume 3, "4-Level Paging".
ENTRY_PRESENT, ENTRY_LARGE = 1, 1 << 7
ENTRY_ADDRESS = 0x000ffffffffff000
LEVELS = (39, 30, 21, 12)
# Of QEMU: where memory goes on above 4 GiB, if there is so much of it.
ABOVE = 1 << 32
BELOW_IF_MORE = {"q35": (0xb0000000, 0x80000000), "microvm": (0xc0000000, 0xc0000000)}


# @impl ATL-LLR-TOOL-1190~1
class GuestMemory:
    """Memory that a machine of QEMU and this process share; it stays when the machine has gone."""

    def __init__(self, mebibytes, machine):
        self._bytes = mebibytes * MIB
        self._file = os.memfd_create("atoll-memory", os.MFD_CLOEXEC)
        os.ftruncate(self._file, self._bytes)
        self._map = mmap.mmap(self._file, self._bytes, prot=mmap.PROT_READ)
        limit, below = BELOW_IF_MORE[machine]
        self._below = below if self._bytes >= limit else self._bytes

    def arguments(self):
        """QEMU's, for such a machine."""
        path = f"/proc/{os.getpid()}/fd/{self._file}"
        return ("-object", f"memory-backend-file,id=memory,share=on,size={self._bytes},mem-path={path}",
                "-machine", "memory-backend=memory")

    def close(self):
        self._map.close()
        os.close(self._file)

    def read(self, address, count):
        """The bytes at a physical address; None: there is no memory for all of them."""
        if address >= ABOVE:
            address += self._below - ABOVE
        elif address + count > self._below:
            return None
        return self._map[address:address + count] if address + count <= self._bytes else None

    def word(self, address):
        data = self.read(address, 8)
        return int.from_bytes(data, "little") if data is not None else None


class Space:
    """Memory as the page tables at root show it; pages are looked up once: posix/'s own never move."""

    def __init__(self, memory, root):
        self._memory, self._root, self._pages = memory, root & ENTRY_ADDRESS, {}

    def _physical(self, page):
        if page not in self._pages:
            table = self._root
            for shift in LEVELS:
                entry = self._memory.word(table + (page >> shift & 511) * 8)
                if entry is None or not entry & ENTRY_PRESENT:
                    return None
                table = entry & ENTRY_ADDRESS
                if shift == LEVELS[-1] or (entry & ENTRY_LARGE and shift != LEVELS[0]):
                    inside = (1 << shift) - 1
                    self._pages[page] = (table & ~inside) + (page & inside)
                    break
        return self._pages[page]

    def read(self, address, count):
        """The bytes at an address; None: not all of them are there."""
        parts = []
        while count > 0:
            page = address & ~(PAGE_BYTES - 1)
            physical = self._physical(page)
            size = min(count, page + PAGE_BYTES - address)
            data = self._memory.read(physical + address - page, size) if physical is not None else None
            if data is None:
                return None
            parts.append(data)
            address, count = address + size, count - size
        return b"".join(parts)


class _Ring:
    """One ring of one core: `slots` of `size` bytes at `base`; how many were begun since boot stands at `counter`.
    A record of the kernel's is there as soon as it is counted."""
    uncounted = 1   # records that may be about to be written and are not counted yet

    def __init__(self, read, magic, core, counter, base, slots, size):
        self.magic, self.core = magic, core
        self.is_broken = False
        self._read, self._counter, self._base, self._slots, self._size = read, counter, base, slots, size
        self._next = 0

    def _count(self):
        data = self._read(self._counter, 8)
        return int.from_bytes(data, "little") if data is not None else None

    def _span(self, start, end):
        """The bytes of slots [start, end), at most all."""
        first = start % self._slots
        behind = min(end - start, self._slots - first)
        parts = (self._read(self._base + first * self._size, behind * self._size),
                 self._read(self._base, (end - start - behind) * self._size))
        return b"".join(parts) if None not in parts else None

    def poll(self, is_last):
        """[(records made up to their end, their bytes)] of what is new; is_last: nobody writes any more."""
        if self.is_broken:
            return []
        made = self._count()
        start = max(self._next, made - self._slots) if made is not None else 0
        data = self._span(start, made) if made is not None and made >= self._next else None
        after = self._count()
        if data is None or after is None or after < made:
            self.is_broken = True
            return []
        # The rest was overwritten meanwhile.
        valid = min(made, max(start, after - self._slots + self.uncounted))
        return self._take(valid, made, data[(valid - start) * self._size:], is_last)

    def _take(self, start, end, data, is_last):
        self._next = end
        return [(end, data)] if end > start or is_last else []


class _SlotRing(_Ring):
    """A slot is there as soon as its sequence is its position + 1: who has claimed one fills it later."""
    uncounted = 0

    def _take(self, start, end, data, is_last):
        found, position = [], start
        while position < end:
            run = position
            while run < end and self._is_whole(data, run - start, run):
                run += 1
            if run > position:
                found.append((run, data[(position - start) * self._size:(run - start) * self._size]))
            position = run
            if position < end:
                if not is_last:
                    break
                position += 1
        self._next = position
        return [*found, (end, b"")] if is_last else found  # what is missing at the end is counted

    def _is_whole(self, data, index, position):
        at = index * self._size
        return data[at:at + 8] == (position + 1 & (1 << 64) - 1).to_bytes(8, "little")


# @impl ATL-LLR-TOOL-1191~1 ATL-LLR-TOOL-1192~1
class Reader:
    """Collects what the rings of a machine say. posix_symbol(name): a symbol's offset in its library OS."""

    def __init__(self, memory, posix_symbol, every_s):
        self._memory, self._posix_symbol, self._every = memory, posix_symbol, every_s
        self._announcement = bytearray()
        self._rings, self._pieces = [], []
        self._space = self._posix_base = self._program = None
        self._core_count = 0
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._poll_often, daemon=True)

    def feed(self, data):
        """Of the console's stream: where the rings lie."""
        with self._lock:
            self._announcement += data
            if self._rings or len(self._announcement) < ANNOUNCEMENT.size:
                return
            magic, cores, records, root, posix_base = ANNOUNCEMENT.unpack_from(self._announcement)
            if magic != ANNOUNCEMENT_MAGIC or not 0 < cores <= CORES_MAX or not 0 < records <= KERNEL_RECORDS_MAX:
                return
            if len(self._announcement) < ANNOUNCEMENT.size + 8 * cores:
                return
            places = struct.unpack_from(f"<{cores}Q", self._announcement, ANNOUNCEMENT.size)
            self._core_count, self._posix_base = cores, posix_base
            self._space = Space(self._memory, root)
            self._rings = [_Ring(self._memory.read, MAGIC, core, place, place + 8, records, RECORD.size)
                           for core, place in enumerate(places)]
        self._thread.start()

    def _poll_often(self):
        while not self._is_over.wait(self._every):
            self.poll()

    def poll(self, is_last=False):
        """Takes what is new."""
        with self._lock:
            if self._rings and self._program is None:
                self._find_program()
            for ring in self._rings:
                for made, data in ring.poll(is_last):
                    self._pieces.append((ring, made, data))

    def _find_program(self):
        """The rings of posix/ and the program, once they are there."""
        pointer = self._space.read(self._posix_base + self._posix_symbol(POINTER), 8)
        address = int.from_bytes(pointer, "little") if pointer else 0
        head = self._space.read(address, RINGS.size) if address else None
        if head is None:
            return
        magic, cores, *_ = RINGS.unpack(head)
        if magic != RINGS_MAGIC or cores != self._core_count:
            return
        self._program = address
        place = address + RINGS.size + NAMES_MAX * NAME_BYTES
        for core in range(cores):
            for magic in SOURCES:
                self._rings.append(_SlotRing(self._space.read, magic, core, place, place + CLAIMED_BYTES, SLOTS,
                                             SLOT_BYTES))
                place += RING_BYTES

    def _names(self):
        """The piece with clock and names."""
        head = self._space.read(self._program, RINGS.size)
        if head is None:
            return b""
        _, _, count, base, multiplier = RINGS.unpack(head)
        rows = self._space.read(self._program + RINGS.size, min(count, NAMES_MAX) * NAME_BYTES) or b""
        rows = CLOCK.pack(base, multiplier) + rows
        return piece(MAGIC_NAMES, 0, self._core_count, len(rows) // NAME_BYTES, rows)

    def finish(self):
        """The machine has ended: the bytes of all pieces, b"" if it never said where its rings lie."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.poll(is_last=True)
        if not self._rings:
            return b""
        if any(ring.is_broken for ring in self._rings if ring.magic == MAGIC):
            raise ToolError("the trace rings of the machine's kernel make no sense")
        names = self._names() if self._program is not None else b""
        return names + b"".join(piece(ring.magic, ring.core, self._core_count, made, data)
                                for ring, made, data in self._pieces)

    @property
    def broken_count(self):
        """How many rings of the program's memory could not be followed to the end."""
        return sum(ring.is_broken for ring in self._rings)
