/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and exceptions. Each vector arrives on a stack of the interrupt stack table, so the
 * interrupted stack (an application's red zone, in ring 0 too) is never written. Two kinds of origin,
 * told apart by ring, and in ring 0 by the address that was interrupted: the user half is the cell's
 * code in either ring; the upper half is the kernel, which only expects faults of a user copy, an interrupt while it
 * halts, NMI, and what is fatal. */
#include "../../isolation/gate/offsets.h"

#include <kernel/layout.h>

#define RESUME_FULL 1
#define FLAGS_CLEAN 2

/* On the IST stack: */
#define IST_VECTOR 0
#define IST_ERROR 8
#define IST_RIP 16
#define IST_CS 24

    .section .text.trap, "ax"

/* One stub of TRAP_STUB_BYTES for each vector. */
    .globl trap_stubs
    .balign 16
trap_stubs:
    .set vector, 0
    .rept 256
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push $0 /* where the processor pushes an error code for the others */
    .endif
    push $vector
    .if vector == VECTOR_NMI
    jmp trap_from_kernel /* never leaves its stack, wherever it came from */
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .org trap_stubs + TRAP_STUB_BYTES * vector, 0xcc
    .endr

    .balign 64
trap_common:
    testb $3, IST_CS(%rsp)
    jnz 1f /* ring 3, wherever it jumped to */
    testb $0x80, IST_RIP + 7(%rsp)
    jnz trap_from_kernel
1:
    push %rax
    mov percpu_current(%rip), %rax
    thread_save rax, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rcx, rdx, rsi, rdi
    pop %rcx
    mov %rcx, THREAD_rax(%rax)
    /* RIP, CS, RFLAGS, RSP and SS lie in the thread as the processor pushed them. */
    .irp place, 0, 8, 16, 24, 32
    mov IST_RIP + \place(%rsp), %rcx
    mov %rcx, THREAD_rip + \place(%rax)
    .endr
    movb $RESUME_FULL, THREAD_RESUME(%rax)
    mov IST_VECTOR(%rsp), %rdi
    mov IST_ERROR(%rsp), %rsi
    mov %cr2, %rdx
    /* The frame is the thread's now; leave the IST before anything that can fault. AC and DF were
     * the application's. */
    lea stack_gate_top(%rip), %rsp
    push $FLAGS_CLEAN
    popfq
    call trap_from_cell
    ud2

/* Saves what C may destroy, on this IST stack, and returns to where it was. */
trap_from_kernel:
    .irp register, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
    push %\register
    .endr
    mov %rsp, %rdi
    mov %cr2, %rsi
    cld
    call trap_in_kernel /* 16 words since the aligned top of the stack */
    .irp register, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
    pop %\register
    .endr
    add $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
