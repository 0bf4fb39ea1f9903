# SPDX-License-Identifier: Apache-2.0
"""Goes from a function's frame to its caller's by the section .debug_frame of posix.elf or kernel.elf,
which are our own builds: DWARF 4, section 6.4; System V ABI for x86-64, figure 3.36. What they do not
have is refused."""
import bisect
import struct
import zlib

from atoll.errors import ToolError

# Numbers of DWARF.
REGISTERS = ("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
             "r13", "r14", "r15", "rip")
RSP, RIP = 7, 16
_CIE_ID = 0xffffffff
_DEREF, _BREG_FIRST, _BREG_LAST = 0x06, 0x70, 0x8f
_MASK = (1 << 64) - 1
_SHF_COMPRESSED, _PACKED_HEADER_BYTES = 0x800, 24


def _plain(data, flags):
    """A section's bytes; one that is packed begins with struct Elf64_Chdr."""
    return zlib.decompress(data[_PACKED_HEADER_BYTES:]) if flags & _SHF_COMPRESSED else data


class _Reader:
    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def take(self, layout):
        value, = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return value

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self):
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) & 1 else value

    def block(self):
        count = self.unsigned()
        self.at += count
        return self.data[self.at - count:self.at]


class _Common:
    """A CIE: what its functions share."""

    def __init__(self, reader):
        reader.take("B")  # version
        end = reader.data.index(b"\0", reader.at)
        self.is_signal = b"S" in reader.data[reader.at:end]
        reader.at = end + 1
        self.code_factor, self.data_factor = reader.unsigned(), reader.signed()
        reader.unsigned()  # the return address's register
        self.start, self.end = reader.at, reader.end


class _Row:
    """The rules at one instruction: of the caller's rsp, and of registers by their number."""

    def __init__(self):
        self.base = (RSP, 0)    # (register, offset), or an expression
        self.rules = {}         # number -> ("offset", n) | ("expression", bytes) | ("undefined",)

    def copy(self):
        row = _Row()
        row.base, row.rules = self.base, dict(self.rules)
        return row


class Frames:
    """The frames of one ELF file that is loaded `bias` above where it was linked."""

    def __init__(self, elf, bias):
        section = elf.section_named(b".debug_frame")
        if section is None:
            raise ToolError(f"{elf.name}: the section .debug_frame is missing", "build it again")
        self._data, self._bias = _plain(elf.content(section), section.flags), bias
        # At 0 lie also functions that the linker has left out: the longest one is the gate page.
        self._functions = sorted(self._read(), key=lambda function: function[:2])
        self._starts = [function[0] for function in self._functions]

    def _read(self):
        commons, reader = {}, _Reader(self._data)
        while reader.at < len(self._data):
            place = reader.at
            reader.end = reader.take("I") + reader.at
            pointer = reader.take("I")
            if pointer == _CIE_ID:
                commons[place] = _Common(reader)
            else:
                start, count = reader.take("Q"), reader.take("Q")
                yield start, start + count, commons[pointer], reader.at, reader.end
            reader.at = reader.end

    def _function_at(self, address):
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._functions[index][1]:
            return self._functions[index]
        return None

    # @impl ATL-LLR-DEBUG-0702~1
    def caller(self, registers, read_word, is_exact):
        """(the caller's registers, whether its rip is that of an instruction and not a return address);
        None if there is none. registers: {number: value}; is_exact: the same of theirs."""
        address = (registers[RIP] - self._bias) & _MASK
        function = self._function_at(address if is_exact else address - 1)
        if function is None:
            return None
        start, _, common, at, end = function
        row = _Row()
        self._run(row, common, (common.start, common.end), start, None)
        self._run(row, common, (at, end), start, address if is_exact else address - 1)
        base = self._base(row, registers, read_word)
        found = dict(registers)
        found[RSP] = base
        for number, rule in row.rules.items():
            if rule[0] == "undefined":
                found[number] = None
                continue
            place = base + rule[1] if rule[0] == "offset" else _evaluate(rule[1], registers, read_word)
            found[number] = read_word(place & _MASK)
        if found[RIP] is None or base is None:
            return None
        return found, common.is_signal

    @staticmethod
    def _base(row, registers, read_word):
        if isinstance(row.base, tuple):
            return (registers[row.base[0]] + row.base[1]) & _MASK
        return _evaluate(row.base, registers, read_word)

    def _run(self, row, common, bounds, location, wanted):
        """Executes instructions up to an address; wanted None: all."""
        reader, stack, initial = _Reader(self._data, *bounds), [], row.copy()
        while reader.at < reader.end:
            code = reader.take("B")
            high, low = code >> 6, code & 0x3f
            if high == 1 or (high == 0 and low in (2, 3, 4)):
                step = low if high == 1 else reader.take({2: "B", 3: "H", 4: "I"}[low])
                location += step * common.code_factor
                if wanted is not None and location > wanted:
                    return
            elif high == 2:
                row.rules[low] = ("offset", reader.unsigned() * common.data_factor)
            elif high == 3:
                self._restore(row, initial, low)
            else:
                self._execute(low, reader, row, initial, stack, common)

    @staticmethod
    def _restore(row, initial, number):
        if number in initial.rules:
            row.rules[number] = initial.rules[number]
        else:
            row.rules.pop(number, None)

    def _execute(self, code, reader, row, initial, stack, common):
        if code == 0x00:                                    # nop
            return
        if code == 0x05:                                    # offset_extended
            number = reader.unsigned()
            row.rules[number] = ("offset", reader.unsigned() * common.data_factor)
        elif code == 0x06:                                  # restore_extended
            self._restore(row, initial, reader.unsigned())
        elif code == 0x07:                                  # undefined
            row.rules[reader.unsigned()] = ("undefined",)
        elif code == 0x08:                                  # same_value
            row.rules.pop(reader.unsigned(), None)
        elif code == 0x0a:                                  # remember_state
            stack.append(row.copy())
        elif code == 0x0b:                                  # restore_state
            before = stack.pop()
            row.base, row.rules = before.base, before.rules
        elif code == 0x0c:                                  # def_cfa
            row.base = (reader.unsigned(), reader.unsigned())
        elif code == 0x0d:                                  # def_cfa_register
            row.base = (reader.unsigned(), row.base[1])
        elif code == 0x0e:                                  # def_cfa_offset
            row.base = (row.base[0], reader.unsigned())
        elif code == 0x0f:                                  # def_cfa_expression
            row.base = reader.block()
        elif code == 0x10:                                  # expression
            number = reader.unsigned()
            row.rules[number] = ("expression", reader.block())
        elif code == 0x2e:                                  # GNU_args_size
            reader.unsigned()
        else:
            raise ToolError(f"frames: instruction {code:#x} is not known", "report it: this is a fault of Atoll")


def _evaluate(expression, registers, read_word):
    """An address: a register and an offset, then loads. None if a load fails."""
    reader, value = _Reader(expression), None
    while reader.at < reader.end:
        code = reader.take("B")
        if _BREG_FIRST <= code <= _BREG_LAST:
            value = (registers[code - _BREG_FIRST] + reader.signed()) & _MASK
        elif code == _DEREF and value is not None:
            value = read_word(value)
        else:
            raise ToolError(f"frames: operation {code:#x} is not known", "report it: this is a fault of Atoll")
    return value
