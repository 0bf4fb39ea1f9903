# SPDX-License-Identifier: Apache-2.0
"""Which system-call sites the tool takes: hand-made code, each function one case."""
import pathlib
import struct
import unittest

import support
from atoll.detour import ROW, find_detours
from atoll.elf import Elf
from atoll.program import check_program
from atoll.options import Settings
from atoll.pack import DETOURS, _add_program
from atoll.tree import Tree

# name: (instructions; SITE marks the syscall, what is displaced before it, or why it stays)
CASES = {
    "number": ("mov $39, %eax; syscall; ret", 5),
    "short": ("mov %rdi, %rax; syscall; ret", 3),
    "two": ("cltq; push %rbx; syscall; pop %rbx; ret", 3),
    "longest": ("movabs $0x1122334455667788, %rax; syscall; ret", 10),
    "relative": ("mov word(%rip), %rax; syscall; ret", 7),
    "relative_first": ("lea word(%rip), %rsi; syscall; ret", 7),
    "target_at_start": ("test %edi, %edi; jz 1f; nop; 1: mov %rdi, %rax; syscall; ret", 3),
    "target_at_call": ("mov $39, %eax; jmp 1f; mov $40, %eax; 1: syscall; ret", 5),
    "target_at_call_of_short": ("jmp 1f; mov %rdi, %rax; 1: syscall; ret", "that may be jumped into"),
    "target_at_call_with_room": ("jmp 1f; nop; nop; mov %rdi, %rax; 1: syscall; ret", 5),
    "target_inside": ("test %edi, %edi; jz 1f; mov %esi, %edi; 1: mov %edx, %esi; syscall; ret",
                      "that may be jumped into"),
    "longer_than_a_target": ("test %edi, %edi; jz 1f; mov $1, %edi; 1: mov %edx, %esi; syscall; ret", 7),
    "far_target": ("mov %esi, %edi; inside_far: mov %edx, %esi; syscall; ret", "that may be jumped into"),
    "label": ("mov %esi, %edi; .globl a_label; a_label: mov %edx, %esi; syscall; ret", "that may be jumped into"),
    "pointer": ("mov %esi, %edi; .Linside_pointer: mov %edx, %esi; syscall; ret", "that may be jumped into"),
    "operand": ("mov %esi, %edi; .Linside_operand: mov %edx, %esi; syscall; ret", "that may be jumped into"),
    "distance": ("mov %esi, %edi; .Linside_distance: mov %edx, %esi; syscall; ret", "that may be jumped into"),
    "jumps_by_table": ("test %edi, %edi; jz 1f; jmp *%rdx; 1: mov %rdi, %rax; syscall; ret",
                       "that may be jumped into"),
    "number_beside_table": ("test %edi, %edi; jz 1f; jmp *%rdx; 1: mov $39, %eax; syscall; ret", 5),
    "no_room": ("syscall; ret", "without room"),
    "behind_a_branch": ("test %edi, %edi; jz 1f; syscall; 1: ret", "behind a je"),
    "behind_a_call": ("call number; syscall; ret", "behind a call"),
    "behind_a_call_far": ("call number; mov %ebx, %eax; inc %edi; syscall; ret", 4),
    "signal_return": ("mov $15, %rax; syscall", "that return from a signal"),
    "two_calls": ("mov $39, %eax; syscall; mov $40, %eax; syscall; ret", (5, 5)),
    "no_room_between": ("mov $39, %eax; syscall; nop; syscall; ret", (5, "without room")),
    "in_an_operand": ("mov $0x050f, %eax; ret", ()),
    "into_an_instruction": (".byte 0xeb, 0x01; 1: mov $39, %eax; syscall; ret",
                            "in code that is not understood"),
    "not_code": ("mov $39, %eax; syscall; ret; .byte 0x06, 0x07, 0x06", "in code that is not understood"),
}
OTHERS = """
    .text
    .globl other
    .type other, @function
other: jz inside_far
    mov $.Linside_operand, %eax
    lea .Linside_distance(%rip), %rdx
    ret
    .size other, . - other
    .data
    .globl word
word: .quad 39
    .quad .Linside_pointer
    .globl _start
    .text
    .type _start, @function
_start: ud2
"""


def assemble(name, text, *flags):
    source, target = support.FOLDER / f"{name}.S", support.FOLDER / name
    source.write_text(text)
    support.compile_ok("gcc", "-nostdlib", "-static", *flags, source, "-o", target)
    return target


def cases_text():
    return OTHERS + "".join(
        f".text\n.balign 16, 0x90\n.globl {name}\n.type {name}, @function\n{name}:\n{code.replace(';', chr(10))}\n"
        f".size {name}, . - {name}\n" for name, (code, _) in CASES.items())


def sites_by_function(elf, found):
    """{function: bytes displaced before each of its sites}."""
    starts = sorted((address, name) for name, address in elf.symbols().items() if name in CASES)
    result = {name: [] for name in CASES}
    for site in found.sites:
        result[[name for address, name in starts if address <= site.address][-1]].append(site.bytes)
    return result


class DetourTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0070~1 @robust
    def test_hand_made_sites(self):
        elf = Elf(assemble("cases", cases_text()).read_bytes(), "cases")
        found, table = find_detours(elf)
        actual = sites_by_function(elf, found)
        left = {}
        for name, (_, wanted) in CASES.items():
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            self.assertEqual(actual[name], [w for w in wanted if isinstance(w, int)], name)
            for reason in (w for w in wanted if isinstance(w, str)):
                left[reason] = left.get(reason, 0) + 1
        self.assertEqual(dict(found.left), left)
        self.assertEqual(len(table), ROW.size * len(found.sites))

    # @verifies ATL-LLR-TOOL-0070~1
    def test_rows(self):
        elf = Elf(assemble("relative", ".globl _start\n_start: lea word(%rip), %rsi\ninc %eax\nsyscall\n"
                           "hlt\n.data\nword: .quad 0\n").read_bytes(), "relative")
        _, table = find_detours(elf)
        low = min(s.address for s in elf.loads)
        self.assertEqual(list(ROW.iter_unpack(table)), [(elf.entry - low, 9, 3, 0)])

    # @verifies ATL-LLR-TOOL-0070~1
    def test_stripped(self):
        """Without symbols only a single instruction as long as the jump is displaced."""
        text = (".globl _start\n_start: mov %rdi, %rax\nsyscall\nmov $39, %eax\nsyscall\n"
                "mov %rdi, %rax\nsyscall\nhlt\n")
        elf = Elf(assemble("stripped", text, "-s").read_bytes(), "stripped")
        found, _ = find_detours(elf)
        self.assertEqual([(s.address - elf.entry, s.bytes) for s in found.sites], [(5, 5)])

    # @verifies ATL-LLR-TOOL-0070~1
    def test_landing_pads(self):
        """A function with a table of landing pads has places that no branch of it shows."""
        for pads, count in (("", 1), (".cfi_lsda 0x1b, pads\n", 0)):
            text = (".section .gcc_except_table, \"a\"\npads: .quad 0\n.text\n.globl _start\n_start:\n.cfi_startproc\n"
                    f"{pads}mov %esi, %edi\nmov %edx, %esi\nsyscall\nhlt\n.cfi_endproc\n")
            found, _ = find_detours(Elf(assemble("pads", text, "-s").read_bytes(), "pads"))
            self.assertEqual(len(found.sites), count, pads)

    # @verifies ATL-LLR-TOOL-0070~1 @robust
    def test_damaged_unwind_table(self):
        data = bytearray(assemble("frames", ".globl _start\n_start:\n.cfi_startproc\nmov $1, %eax\nsyscall\nhlt\n"
                                  ".cfi_endproc\n").read_bytes())
        section = Elf(data, "frames").section_named(b".eh_frame")
        for position in range(section.offset, section.offset + section.bytes):
            for value in (0, 0xff):
                broken = bytearray(data)
                broken[position] = value
                self.assertLessEqual(len(find_detours(Elf(broken, "frames"))[0].sites), 1)

    # @verifies ATL-LLR-TOOL-0070~1
    def test_real_programs(self):
        """Nearly every call of both C libraries is found."""
        for compiler, share in (("musl-gcc", 0.98), ("gcc", 0.95)):
            source, target = support.FOLDER / "threads.c", support.FOLDER / f"threads-{compiler}"
            source.write_text("#include <pthread.h>\n#include <stdio.h>\nstatic void *f(void *p) { return p; }\n"
                              "int main(void) { pthread_t t; pthread_create(&t, 0, f, 0);\n"
                              "pthread_join(t, 0); puts(\"x\"); return 0; }\n")
            support.compile_ok(compiler, "-static", "-pthread", source, "-o", target)
            found = find_detours(Elf(target.read_bytes(), compiler))[0]
            self.assertGreaterEqual(len(found.sites), share * (len(found.sites) + sum(found.left.values())))

    # @verifies ATL-LLR-TOOL-0071~1
    def test_the_file_stays_and_the_table_is_left_out(self):
        program = support.hello()
        for detour in (True, False):
            tree = Tree("atoll")
            guest, *_ = _add_program(tree, program, Settings(detour=detour))
            self.assertEqual(tree.entries[guest].content, pathlib.Path(program).read_bytes())
            self.assertEqual(DETOURS in tree.entries, detour)
            if detour:
                elf = check_program(program.read_bytes(), "hello")
                for offset, size, _, _ in struct.iter_unpack("<IBBH", tree.entries[DETOURS].content):
                    low = min(s.address for s in elf.loads)
                    self.assertEqual(bytes(elf.memory(low + offset + size, 2)), b"\x0f\x05")


if __name__ == "__main__":
    unittest.main()
