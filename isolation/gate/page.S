/* SPDX-License-Identifier: Apache-2.0 */
/* The two variants of the gate page: one 32-byte stub for each call number, and a tail. Position
 * independent; copied to a page of the cell by isolation_gate_page_fill. posix/ calls the stub with
 * the C convention. @impl ATL-LLR-GATE-0002~1 */
#include <isolation/gate_numbers.h>

    .section .rodata.gate_page, "a"

/* One for each number; way: the instructions that enter the kernel and return. */
    .macro stubs way:vararg
    .set number, 0
    .rept GATE_CALL_COUNT
    .balign 32, 0xcc
    mov $(0x4100 + number), %eax
    mov %rcx, %r10
    .irp instruction, \way
    \instruction
    .endr
    .set number, number + 1
    .endr
    .endm

    .balign 32
    .globl gate_page_ring3
gate_page_ring3:
    stubs syscall, ret

/* Ring 0: what `syscall` does, as far as the entry needs it, without its cost. */
    .balign 32
    .globl gate_page_ring0
gate_page_ring0:
    stubs "jmp gate_page_ring0_tail"
    .balign 32, 0xcc
gate_page_ring0_tail:
    pushfq
    pop %r11
    lea 1f(%rip), %rcx
    cli
    cld
    movabs $gate_entry, %r9 /* no call has six arguments: r9 is free */
    jmp *%r9
1:  ret
    .globl gate_page_end
gate_page_end:

    .section .note.GNU-stack, "", @progbits
