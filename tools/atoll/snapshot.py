# SPDX-License-Identifier: Apache-2.0
"""Everything of a machine that stands still that a core file has: threads as the program sees them,
that is, where they called posix/; memory; what the loader told the program; the trace rings."""
import bisect
import dataclasses
import pathlib
import re
import struct
import tempfile
import xml.etree.ElementTree as ElementTree

from atoll.dwarf_frames import REGISTERS, RIP, Frames
from atoll.elf import PAGE_BYTES
from atoll.errors import ToolError
from atoll.machine import CORES_MAX
from atoll.remote import THREADS_MAX, RemoteError
from atoll.trace.records import RECORD, piece_of_memory

ID_MADE_UP = 1000000            # debug/list.c: not a thread of the program
UNTOUCHED_KEPT_MAX = 256 << 20  # zeros are holes of the file, up to here
PIECE_BYTES = 4 << 20
FRAMES_MAX = 16
KERNEL_HALF = 1 << 63
AT_SYSINFO_EHDR = 33
ENOSYS = 38
(KIND_UNTOUCHED, KIND_OWN, KIND_IMAGE) = (1, 2, 3)
# debug/include/debug/table.h and posix/include/posix/thread.h
TABLE = struct.Struct("<Q6I2Q")
TABLE_MAGIC = b"DBGTABLE"
RECORD_CALL = 8
NO_CALL = (1 << 64) - 1
OUTBOX_BYTES, OUTBOX_RING = 48, 40      # percpu/outbox.h
RING_RECORDS = 512                      # percpu/trace.h


@dataclasses.dataclass
class Thread:
    id: int
    name: str
    core: int
    registers: object       # remote.Registers: where the program called posix/, if it is in there
    call: int               # number of that Linux call; all bits set: none
    own: object = None      # the registers themselves


@dataclasses.dataclass
class Run:
    """Pages alike. pieces: [(start, bytes, physical address)]"""
    start: int
    bytes: int
    kind: int
    rights: int
    pieces: list
    offset: int = 0
    path: str = ""
    is_elsewhere: bool = False      # GDB reads it from the file

    @property
    def is_kept(self):
        return not self.is_elsewhere and (self.kind != KIND_UNTOUCHED or self.bytes <= UNTOUCHED_KEPT_MAX)


@dataclasses.dataclass
class Snapshot:
    threads: list           # the one that matters first
    runs: list
    auxiliary: bytes
    arguments: list
    signal_information: bytes = bytes(128)
    rings: bytes = b""

    @property
    def core_count(self):
        return len({thread.core for thread in self.threads})


class Machine:
    """A machine that stands still, by its stub; kernel and posix are the Elf files that it runs."""

    def __init__(self, remote, kernel, posix):
        self.remote = remote
        self.kernel_symbols, self.posix_symbols = kernel.symbols(), posix.symbols()
        bases = re.findall(rb'name="([^"]*)"[^>]*l_addr="0x([0-9a-f]+)"', remote.document(b"libraries-svr4:read:"))
        self.posix_base = next((int(base, 16) for name, base in bases if name.endswith(b"posix.elf")), None)
        if self.posix_base is None:
            raise RemoteError("the machine does not tell where its library OS is")
        self._frames, self._kernel_frames = Frames(posix, self.posix_base), Frames(kernel, 0)
        self._kernel_functions = sorted((value, name) for name, value in self.kernel_symbols.items())
        self._table = self._read_table()

    def _read_table(self):
        data = self.remote.memory(self.posix_base + self.posix_symbols["posix_debug_table"], TABLE.size)
        if len(data) != TABLE.size or data[:8] != TABLE_MAGIC:
            raise RemoteError("the machine's library OS is not the one that it was packed with")
        return TABLE.unpack(data)

    # ---- threads

    def _is_in_posix(self, address):
        offset = address - self.posix_base
        return (0 <= offset < PAGE_BYTES
                or self.posix_symbols["__posix_code_start"] <= offset < self.posix_symbols["__text_end"])

    # @impl ATL-LLR-DEBUG-0702~1
    def _to_program(self, registers):
        """Changes the registers of a thread inside posix/ to those with which it called; the call's number."""
        general = registers.general
        if not self._is_in_posix(general["rip"]):
            return NO_CALL
        inside = general["rsp"]
        numbers, is_exact = {i: general[name] for i, name in enumerate(REGISTERS)}, True
        while self._is_in_posix(numbers[RIP]):
            found = self._frames.caller(numbers, self.remote.word, is_exact)
            if found is None:
                return NO_CALL
            numbers, is_exact = found
        general.update({name: numbers[i] for i, name in enumerate(REGISTERS)})
        general.update({name: 0 for name, value in general.items() if value is None})
        stack_bytes, record_bytes = self._table[2], self._table[3]
        record = (inside & ~(stack_bytes - 1)) + stack_bytes - record_bytes
        call = self.remote.word(record + RECORD_CALL)
        if call is None or call == NO_CALL:
            return NO_CALL
        # As Linux has it within a call.
        general["rax"] = (1 << 64) - ENOSYS
        registers.flags = general["r11"] & 0xffffffff
        return call

    def _thread(self, element):
        number = int(element.get("id", ""), 16)
        registers = own = self.remote.registers(number)
        if own.general["rip"] >= KERNEL_HALF:
            registers = self.remote.frame(number)
        else:
            registers = self.remote.registers(number)
        call = self._to_program(registers)
        return Thread(number, element.get("name") or "", int(element.get("core", "0")), registers, call, own)

    def threads(self, first):
        """The program's threads; the one with the number `first` first, if it is one of them."""
        try:
            elements = list(ElementTree.fromstring(self.remote.document(b"threads:read:")))
            if len(elements) > THREADS_MAX:
                raise ValueError
            found = [self._thread(element) for element in elements]
        except (ValueError, ElementTree.ParseError):
            raise RemoteError("the machine's list of threads is not one") from None
        found = [thread for thread in found if thread.id < ID_MADE_UP]
        return sorted(found, key=lambda thread: (thread.id != first, thread.id))

    # ---- the kernel

    def kernel_function(self, address):
        """The name of the function of the kernel at an address."""
        index = bisect.bisect_right(self._kernel_functions, (address, "\x7f")) - 1
        return self._kernel_functions[index][1] if index >= 0 else hex(address)

    def kernel_callers(self, general, depth=FRAMES_MAX):
        """The registers of each function of the kernel from these on outwards, with DWARF's numbers."""
        numbers = {i: general[name] for i, name in enumerate(REGISTERS)}
        found = (numbers, True)
        while found is not None and depth > 0:
            yield found
            found, depth = self._kernel_frames.caller(found[0], self.remote.word, found[1]), depth - 1

    # @impl ATL-LLR-DEBUG-0708~1
    def kernel_backtrace(self, general):
        """Names of the kernel's functions, the innermost first."""
        return [self.kernel_function(numbers[RIP] - (0 if is_exact else 1))
                for numbers, is_exact in self.kernel_callers(general)]

    # ---- memory

    def runs(self):
        found, address = [], 0
        while address is not None:
            rows, _, behind = self.remote.ask(b"qAtollMap:%x" % address).partition(b"+")
            try:
                for row in rows.split(b";")[:-1]:
                    self._add_run(found, row.split(b","))
                following = int(behind, 16) if behind else None
            except (ValueError, IndexError):
                raise RemoteError("the machine's list of memory is not one") from None
            if following is not None and following <= address:
                raise RemoteError("the machine's list of memory has no end")
            address = following
        return found

    @staticmethod
    def _add_run(found, fields):
        start, count, kind, rights, physical = (int(field, 16) for field in fields[:5])
        if kind not in (KIND_UNTOUCHED, KIND_OWN, KIND_IMAGE) or count <= 0 or start + count > KERNEL_HALF:
            raise ValueError
        offset = int(fields[5], 16) if len(fields) > 5 else 0
        path = bytes.fromhex(fields[6].decode()).decode("utf-8", "surrogateescape") if len(fields) > 6 else ""
        last = found[-1] if found else None
        if (last and (last.start + last.bytes, last.kind, last.rights, last.path) == (start, kind, rights, path)
                and (not path or last.offset + last.bytes == offset)):
            last.bytes += count
            last.pieces.append((start, count, physical))
        else:
            if last and start < last.start + last.bytes:
                raise ValueError
            found.append(Run(start, count, kind, rights, [(start, count, physical)], offset, path))

    # ---- the whole

    def stopped_thread(self):
        """The number of the thread that the stub would tell a debugger of; 0: none."""
        found = re.match(rb"T.*thread:([0-9a-f]+)", self.remote.ask(b"?"))
        return int(found[1], 16) if found else 0

    def _auxiliary_run(self, auxiliary):
        """The page with the code that the program calls for the time: only the library OS maps it."""
        pairs = dict(struct.iter_unpack("<QQ", auxiliary[:len(auxiliary) // 16 * 16]))
        address = pairs.get(AT_SYSINFO_EHDR, 0)
        return [Run(address, PAGE_BYTES, KIND_OWN, 5, [(address, PAGE_BYTES, None)])] if address else []

    def _kernel_number(self, name, count, offset=0):
        """A variable of the selected thread's core."""
        return int.from_bytes(self.remote.memory(self.kernel_symbols[name] + offset, count), "little")

    # @impl ATL-LLR-DEBUG-0704~1
    def _rings(self):
        """The trace rings of all cores, as ./atoll trace keeps them."""
        core_count, parts = self._kernel_number("percpu_core_count", 2), []
        if not 0 < core_count <= CORES_MAX:
            raise RemoteError("the machine does not tell how many cores it has")
        for core in range(core_count):
            place = self._kernel_number("percpu_outboxes", 8, OUTBOX_BYTES * core + OUTBOX_RING)
            data = self.remote.memory(place, 8 + RING_RECORDS * RECORD.size)
            if len(data) != 8 + RING_RECORDS * RECORD.size:
                raise RemoteError(f"the trace ring of core {core} cannot be read")
            parts.append(piece_of_memory(core, core_count, data))
        return b"".join(parts)

    def snapshot(self, first, arguments, information=bytes(128)):
        threads = self.threads(first)
        if not threads:
            raise RemoteError("the machine has no thread of the program")
        auxiliary = self.remote.document(b"auxv:read:")
        runs = sorted(self.runs() + self._auxiliary_run(auxiliary), key=lambda run: run.start)
        return Snapshot(threads, runs, auxiliary, arguments, information, self._rings())


class LineReader:
    """A run's bytes over the line."""

    def __init__(self, remote):
        self._remote = remote

    def __call__(self, run):
        for start, count, _ in run.pieces:
            done = 0
            while done < count:
                wanted = min(count - done, PIECE_BYTES)
                data = self._remote.memory(start + done, wanted) if run.kind != KIND_UNTOUCHED else bytes(wanted)
                yield data.ljust(wanted, b"\0")
                done += wanted


class MonitorReader:
    """A run's bytes by QEMU's monitor, which copies memory much faster than the line does."""

    def __init__(self, monitor, remote):
        self._monitor, self._line = monitor, LineReader(remote)

    def __call__(self, run):
        if run.kind == KIND_UNTOUCHED or run.pieces[0][2] is None:
            yield from self._line(run)
            return
        with tempfile.TemporaryDirectory(prefix="atoll-") as folder:
            path = pathlib.Path(folder) / "piece"
            for _, count, physical in run.pieces:
                for done in range(0, count, PIECE_BYTES):
                    size = min(count - done, PIECE_BYTES)
                    self._monitor.execute("pmemsave", val=physical + done, size=size, filename=str(path))
                    data = path.read_bytes()
                    if len(data) != size:
                        raise ToolError("QEMU did not copy the machine's memory", "try again")
                    yield data
