# SPDX-License-Identifier: Apache-2.0
"""Reads where functions begin, and which have landing pads of exceptions, from .eh_frame. Sources:
Linux Standard Base Core 5.0, "Exception Frames"; DWARF 4, section 6.4.1."""
import struct

SECTION = b".eh_frame"
# Encodings of pointers: the low half says the form, the high half what it is relative to.
_FORMS = {0x0: ("<Q", 8), 0x2: ("<H", 2), 0x3: ("<I", 4), 0x4: ("<Q", 8),
          0xa: ("<h", 2), 0xb: ("<i", 4), 0xc: ("<q", 8)}
_RELATIVE_TO_PLACE = 0x10
_OMITTED = 0xff


class _Reader:
    def __init__(self, data, base):
        self.data, self.base, self.at = data, base, 0

    def take(self, layout, size):
        value, = struct.unpack_from(layout, self.data, self.at)
        self.at += size
        return value

    def leb128(self):
        value = shift = 0
        while True:
            byte = self.take("<B", 1)
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def string(self):
        end = self.data.index(b"\0", self.at)
        text, self.at = self.data[self.at:end], end + 1
        return text

    def pointer(self, encoding):
        """A pointer; None in a form that is not read here."""
        place = self.base + self.at
        if encoding & 0xf not in _FORMS or encoding & 0x70 not in (0, _RELATIVE_TO_PLACE):
            return None
        value = self.take(*_FORMS[encoding & 0xf])
        return value + place if value and encoding & _RELATIVE_TO_PLACE else value


def _common(reader, end):
    """(encoding of addresses, encoding of the landing pads' table) of a CIE."""
    version = reader.take("<B", 1)
    augmentation = reader.string()
    reader.leb128()
    reader.leb128()
    if version == 1:
        reader.take("<B", 1)
    else:
        reader.leb128()
    address, table = 0, _OMITTED
    if augmentation.startswith(b"z"):
        reader.leb128()
        for letter in augmentation[1:]:
            if letter == ord("R"):
                address = reader.take("<B", 1)
            elif letter == ord("L"):
                table = reader.take("<B", 1)
            elif letter == ord("P"):
                reader.pointer(reader.take("<B", 1))
    return address, table, augmentation.startswith(b"z")


def _function(reader, common):
    """(start, has landing pads) of an FDE."""
    address, table, is_sized = common
    start = reader.pointer(address)
    reader.pointer(address & 0xf)
    if is_sized:
        reader.leb128()
    if table == _OMITTED:
        return start, False
    return start, reader.pointer(table) != 0


def functions_of(elf):
    """{start of a function: whether it has landing pads}; empty if the program does not say."""
    section = elf.section_named(SECTION)
    if section is None:
        return {}
    reader, found, commons = _Reader(elf.content(section), section.address), {}, {}
    try:
        while reader.at + 4 <= len(reader.data):
            start = reader.at
            size = reader.take("<I", 4)
            if size in (0, 0xffffffff):  # the end; 64-bit records nobody writes
                break
            end, place = reader.at + size, reader.at
            offset = reader.take("<I", 4)
            if offset == 0:
                commons[start] = _common(reader, end)
            elif place - offset in commons:
                address, has_pads = _function(reader, commons[place - offset])
                if address is not None:
                    found[address] = has_pads
            reader.at = end
    except (struct.error, ValueError):
        pass  # damaged: what was read before holds, and what is unknown stays undetoured
    return found
