/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a machine can do: a PVH image that says hello on the first serial port and ends by
 * three faults in one. What any system adds to this is its own. */
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    .byte 0x0f, 0x1f, 0x80, 127, 0x11, 0x70, 0x0a /* BENCH_HERE of bench.h */
    movw $0x3f8, %dx
    movl $hello, %esi
    movl $hello_end - hello, %ecx
    cld
    rep outsb
    lidt nothing
    int3
hello:
    .ascii "hello\n"
hello_end:
nothing:
    .word 0
    .long 0
