# SPDX-License-Identifier: Apache-2.0
"""Programs that cannot run are refused before anything boots, with what is wrong and what to do."""
import struct
import unittest

import support
from atoll.errors import ToolError
from atoll.program import check_program


def changed(data, offset, layout, *values):
    copy = bytearray(data)
    struct.pack_into(layout, copy, offset, *values)
    return bytes(copy)


def load_header(data, number):
    """Offset of the number-th PT_LOAD row."""
    table, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    rows = [table + 56 * i for i in range(count)
            if struct.unpack_from("<I", data, table + 56 * i)[0] == 1]
    return rows[number]


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.good = support.hello().read_bytes()

    def refused(self, data, text, **options):
        with self.assertRaises(ToolError) as caught:
            check_program(data, "prog", **options)
        self.assertIn(text, str(caught.exception))
        self.assertTrue(caught.exception.hint)

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_good_programs(self):
        check_program(self.good, "prog")
        check_program(support.hello("-static-pie", "-fPIE").read_bytes(), "prog")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_not_a_program(self):
        self.refused(b"", "empty")
        self.refused(b"#!/bin/sh\n", "script")
        self.refused(b"hello", "not an ELF")
        self.refused(self.good[:40], "truncated")
        self.refused(changed(self.good, 16, "<H", 1), "object file")
        self.refused(changed(self.good, 16, "<H", 4), "core dump")
        self.refused(changed(self.good, 16, "<H", 9), "ELF type 9")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_wrong_machine(self):
        self.refused(changed(self.good, 4, "<B", 1), "32-bit")
        self.refused(changed(self.good, 5, "<B", 2), "big-endian")
        self.refused(changed(self.good, 18, "<H", 183), "AArch64")
        self.refused(changed(self.good, 18, "<H", 999), "999")
        self.refused(changed(self.good, 7, "<B", 9), "FreeBSD")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_dynamic(self):
        source, target = support.FOLDER / "dynamic.c", support.FOLDER / "dynamic"
        source.write_text("int main(void) { return 0; }\n")
        support.compile_ok("gcc", source, "-o", target)
        self.refused(target.read_bytes(), "dynamically linked")
        support.compile_ok("gcc", "-shared", "-fPIC", source, "-o", target)
        self.refused(target.read_bytes(), "shared")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_truncated_everywhere(self):
        end = max(struct.unpack_from("<QQQQ", self.good, load_header(self.good, n) + 8)[0] +
                  struct.unpack_from("<Q", self.good, load_header(self.good, n) + 32)[0]
                  for n in range(3))
        for size in range(0, end, 97):
            with self.assertRaises(ToolError):
                check_program(self.good[:size], "prog")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_segments(self):
        first, second = load_header(self.good, 0), load_header(self.good, 1)
        address = struct.unpack_from("<Q", self.good, first + 16)[0]
        self.refused(changed(self.good, second + 16, "<Q", address), "overlaps")
        self.refused(changed(self.good, first + 40, "<Q", 1 << 40), "beyond")
        self.refused(changed(self.good, first + 40, "<Q", (1 << 64) - 1), "wraps")
        self.refused(changed(self.good, first + 40, "<Q", 1), "damaged")
        self.refused(changed(self.good, first + 8, "<Q", 1 << 60), "truncated")
        self.refused(changed(self.good, first + 16, "<Q", 0x1000), "never mapped")
        self.refused(changed(self.good, first + 16, "<Q", address + 8), "differ within a page")
        self.refused(changed(self.good, 24, "<Q", 0x10), "entry point")
        self.refused(changed(self.good, 54, "<H", 55), "damaged")
        self.refused(changed(self.good, 56, "<H", 0), "nothing to load")
        self.refused(changed(self.good, 56, "<H", 0xffff), "program headers")

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_write_execute(self):
        wild = changed(self.good, load_header(self.good, 1) + 4, "<I", 7)
        self.refused(wild, "writable and executable")
        check_program(wild, "prog", allow_write_execute=True)

    # @verifies ATL-LLR-TOOL-0001~1 @robust
    def test_more_cores_give_more_room(self):
        last = load_header(self.good, 3)
        wide = changed(self.good, last + 40, "<Q", 3 << 38)
        self.refused(wide, "beyond", cores=1)
        check_program(wide, "prog", cores=2)


if __name__ == "__main__":
    unittest.main()
