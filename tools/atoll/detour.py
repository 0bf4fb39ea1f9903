# SPDX-License-Identifier: Apache-2.0
"""Finds the `syscall` instructions of a program that the loader may rewrite into jumps, and writes the
table of them that goes into the image; posix/load/detour.c rewrites.

A site is the `syscall` with the instructions right before it, which a trampoline runs instead: the
first five of their bytes become `jmp rel32`. A site is taken only if

- the instructions are known to begin where they do: the sweep over the function that they are in
  begins at a function's start, decodes every byte, ends at the next one's start, and no direct branch
  of the function leads into the middle of an instruction;
- each of them only computes: it neither branches nor needs to be where it is, but for an operand
  relative to rip, which the loader corrects;
- nothing can jump to between the first byte and the end of the jump. If the first instruction is as
  long as the jump, no instruction begins there. Otherwise the function must have no indirect jump
  and no landing pads of exceptions, and no direct branch, distance, symbol or word of the program
  may lead there.

What is not taken stays a `syscall`, which the kernel reflects."""
import bisect
import collections
import dataclasses
import re
import struct

from atoll.eh_frame import functions_of
from atoll.elf import ET_EXEC, PF_W, PF_X
from atoll.errors import ToolError

SYSCALL = b"\x0f\x05"
JUMP_BYTES = 5
DISPLACED_MIN = JUMP_BYTES - len(SYSCALL)
DISPLACED_MAX = 19   # DETOUR_DISPLACED_MAX of posix/load/detour.h
ROW = struct.Struct("<IBBH")
SPAN_MAX = 1 << 30   # of a program: its trampolines lie behind it, and a jump reaches 2 GiB
NEAR_BYTES = 256     # more than a short branch reaches
# What takes a distance of 32 bits to code: call, jmp; jcc; xbegin; lea of rip.
DISTANCE = re.compile(rb"(?=([\xe8\xe9]|\x0f[\x80-\x8f]|\xc7\xf8|\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]))", re.DOTALL)
RELATIVE = re.compile(r"\[rip ([+-]) (?:0x)?([0-9a-f]+)\]")

# Instructions that do the same wherever they are and go on behind themselves.
COMPUTES = {
    "mov", "movabs", "movzx", "movsx", "movsxd", "lea", "xor", "or", "and", "add", "sub", "neg", "not",
    "inc", "dec", "shl", "shr", "sar", "cmp", "test", "nop", "cdqe", "cwde", "cdq", "cqo", "push", "pop",
    "movaps", "movups", "movdqa", "movdqu", "movq", "movd", "pxor", "xorps",
}
# __restore_rt: unwinders know a signal's frame by these bytes.
RETURN_FROM_SIGNAL = (b"\x48\xc7\xc0\x0f\x00\x00\x00", b"\xb8\x0f\x00\x00\x00")


@dataclasses.dataclass(frozen=True)
class Site:
    """address of the first displaced instruction; bytes displaced, behind which the `syscall` is;
    fixup: where among them four bytes relative to rip are, 0: nowhere."""
    address: int
    bytes: int
    fixup: int


@dataclasses.dataclass
class Detours:
    sites: list            # of Site, ascending
    left: collections.Counter  # reason -> how many stay as they are

    def describe(self):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left.items()))
        total = len(self.sites) + sum(self.left.values())
        return f"{len(self.sites)} of {total} system-call sites detoured" + (f"; left: {reasons}" if reasons else "")


class _Left(Exception):
    """Why a site stays as it is."""


def _disassembler():
    try:
        import capstone
    except ImportError:
        raise ToolError("python3-capstone is missing", "install what Atoll needs: ./atoll setup, or pack "
                        "with --no-detour") from None
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


class _Function:
    """The instructions from one known start to the next."""

    def __init__(self, decoder, content, start):
        rows = list(decoder.disasm_lite(content, start))
        self.starts = [address for address, _, _, _ in rows]
        self.rows = rows
        end = rows[-1][0] + rows[-1][1] if rows else start
        self.is_whole = end == start + len(content)
        self.targets = set()
        self.jumps_indirectly = False
        for _, _, mnemonic, operands in rows:
            if mnemonic.startswith(("j", "call", "loop", "notrack", "bnd", "xbegin")):
                if operands.startswith("0x"):
                    self.targets.add(int(operands, 16))
                elif "call" not in mnemonic:
                    self.jumps_indirectly = True
        own = set(self.starts)
        self.is_consistent = all(target in own for target in self.targets if start <= target < end)

    def row_at(self, address):
        """Number of the instruction that begins there, or None."""
        number = bisect.bisect_left(self.starts, address)
        return number if number < len(self.starts) and self.starts[number] == address else None


class _Text:
    """An executable segment, cut at the starts of functions."""

    def __init__(self, elf, segment, functions, decoder):
        self.base = segment.address
        self.content = bytes(elf.data[segment.offset:segment.offset + segment.file_bytes])
        self.end = self.base + len(self.content)
        known = [f for f in functions if self.base <= f < self.end]
        self.known = set(known)
        self.cuts = sorted({self.base, *known, *_section_starts(elf, self.base, self.end)})
        self._functions = {}
        self._decoder = decoder
        self._distant = None

    def start_of(self, address):
        """Where the function begins that holds an address."""
        return self.cuts[bisect.bisect_right(self.cuts, address) - 1]

    def function(self, address):
        start = self.start_of(address)
        if start not in self._functions:
            number = bisect.bisect_right(self.cuts, start)
            end = self.cuts[number] if number < len(self.cuts) else self.end
            self._functions[start] = _Function(
                self._decoder, self.content[start - self.base:end - self.base], start)
        return self._functions[start]

    def near(self, address):
        """The functions within reach of a short branch."""
        at = max(address - NEAR_BYTES, self.base)
        while at < min(address + NEAR_BYTES, self.end):
            yield self.function(at)
            number = bisect.bisect_right(self.cuts, at)
            at = self.cuts[number] if number < len(self.cuts) else self.end

    def distant_targets(self):
        """Where anything leads that looks like an instruction with a distance, at any byte."""
        if self._distant is None:
            self._distant = set()
            for match in DISTANCE.finditer(self.content, 0, len(self.content) - 6):
                position = match.end(1)
                distance, = struct.unpack_from("<i", self.content, position)
                self._distant.add(self.base + position + 4 + distance)
        return self._distant


def _section_starts(elf, low, high):
    return [s.address for s in elf.sections if low <= s.address < high]


def _look_at(row, code):
    """Why one instruction cannot be displaced, or None; position of its distance to rip, 0: none."""
    _, _, mnemonic, operands = row
    if mnemonic.split()[-1] not in COMPUTES and not mnemonic.startswith(("cmov", "set")):
        return f"behind a {mnemonic}", 0
    if code in RETURN_FROM_SIGNAL:
        return "that return from a signal", 0
    if "rip" not in operands:
        return None, 0
    match = RELATIVE.search(operands)
    distance = struct.pack("<i", int(match[1] + match[2], 16)) if match else b""
    if not match or code.find(distance) != code.rfind(distance):
        return "that need their place", 0
    return None, code.find(distance)


class _Finder:
    def __init__(self, elf):
        self.elf = elf
        self.decoder = _disassembler()
        self.frames = functions_of(elf)  # start -> has landing pads
        symbols = elf.code_symbols()
        self.labels = {address for address, _ in symbols}
        starts = {address for address, is_function in symbols if is_function} | set(self.frames) | {elf.entry}
        self.texts = [_Text(elf, s, starts, self.decoder) for s in elf.loads
                      if s.flags & PF_X and not s.flags & PF_W]
        self.with_symbols = {address for address, is_function in symbols if is_function} | set(self.frames)

    def find(self):
        sites, left, behind = [], collections.Counter(), 0
        for text in self.texts:
            for match in re.finditer(re.escape(SYSCALL), text.content):
                address = text.base + match.start()
                try:
                    site = self._site(text, address, behind)
                except _Left as reason:
                    if str(reason):
                        left[str(reason)] += 1
                    continue
                sites.append(site)
                behind = address + len(SYSCALL)
        return Detours(sites, left)

    def _site(self, text, address, behind):
        function = text.function(address)
        number = function.row_at(address)
        if number is None:
            # Bytes of another instruction, or behind what can be decoded: then it may be one.
            raise _Left("" if function.is_whole and function.is_consistent else "not decoded")
        if not function.is_whole or not function.is_consistent:
            raise _Left("in code that is not understood")
        start, fixup, reason = address, 0, "without room"
        for row in reversed(function.rows[:number]):
            code = text.content[row[0] - text.base:row[0] - text.base + row[1]]
            obstacle, position = _look_at(row, code)
            if obstacle or (position and fixup) or row[0] < behind or address - row[0] > DISPLACED_MAX:
                raise _Left(reason if start != address else obstacle or reason)
            start = row[0]
            fixup = position if position else (fixup + row[1] if fixup else 0)
            if address - start >= DISPLACED_MIN:
                if self._is_closed(text, function, start, row[1]):
                    return Site(start, address - start, fixup)
                reason = "that may be jumped into"
        raise _Left(reason)

    def _is_closed(self, text, function, start, first_bytes):
        """Nothing can go on at a place between the jump's first byte and its end."""
        if first_bytes >= JUMP_BYTES:
            return True
        beginning = text.start_of(start)
        if (beginning not in self.with_symbols or self.frames.get(beginning, False)
                or function.jumps_indirectly):
            return False
        inside = range(start + 1, start + JUMP_BYTES)
        targets = set().union(*(near.targets for near in text.near(start)))
        return not any(place in targets or place in self.labels or place in text.distant_targets()
                       or self._is_a_word(place) for place in inside)

    def _is_a_word(self, address):
        """Some bytes of the program are this address: a pointer, or an operand if it is fixed."""
        is_short = self.elf.type == ET_EXEC and address < 1 << 31
        word = struct.pack("<I" if is_short else "<Q", address)
        return any(self.elf.data.find(word, s.offset, s.offset + s.file_bytes) >= 0 for s in self.elf.loads)


# @impl ATL-LLR-TOOL-0070~1
def find_detours(elf):
    """Detours of a program that check_program has accepted."""
    low = min(s.address for s in elf.loads) // 4096 * 4096
    if max(s.end for s in elf.loads) - low > SPAN_MAX:
        return Detours([], collections.Counter({"of a program that is too large": 1})), b""
    found = _Finder(elf).find()
    table = b"".join(ROW.pack(site.address - low, site.bytes, site.fixup, 0) for site in found.sites)
    return found, table
