/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and exceptions. Each vector arrives on a stack of the interrupt stack table, so the
 * interrupted stack (an application's red zone, in ring 0 too) is never written. Two kinds of origin,
 * told apart by ring, and in ring 0 by the address that was interrupted: the user half is the cell's
 * code in either ring; the upper half is the kernel, which only expects faults of a user copy, an interrupt while it
 * halts, NMI, and what is fatal. */
#include "../../isolation/gate/offsets.h"

#define RESUME_FULL 1
#define VECTOR_NMI 2
#define FLAGS_CLEAN 2

/* On the IST stack: */
#define IST_VECTOR 0
#define IST_ERROR 8
#define IST_RIP 16
#define IST_CS 24
#define IST_RFLAGS 32
#define IST_RSP 40
#define IST_SS 48

    .section .text.trap, "ax"

    .macro stub vector
    .balign 16
trap_stub_\vector:
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
    .else
    push $0
    .endif
    push $\vector
    .if \vector == VECTOR_NMI
    jmp trap_from_kernel /* never leaves its stack, wherever it came from */
    .else
    jmp trap_common
    .endif
    .endm

    .altmacro
    .set vector, 0
    .rept 256
    stub %vector
    .set vector, vector + 1
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
    mov %r15, THREAD_R15(%rax)
    mov %r14, THREAD_R14(%rax)
    mov %r13, THREAD_R13(%rax)
    mov %r12, THREAD_R12(%rax)
    mov %rbp, THREAD_RBP(%rax)
    mov %rbx, THREAD_RBX(%rax)
    mov %r11, THREAD_R11(%rax)
    mov %r10, THREAD_R10(%rax)
    mov %r9, THREAD_R9(%rax)
    mov %r8, THREAD_R8(%rax)
    mov %rcx, THREAD_RCX(%rax)
    mov %rdx, THREAD_RDX(%rax)
    mov %rsi, THREAD_RSI(%rax)
    mov %rdi, THREAD_RDI(%rax)
    pop %rcx
    mov %rcx, THREAD_RAX(%rax)
    mov IST_RIP(%rsp), %rcx
    mov %rcx, THREAD_RIP(%rax)
    mov IST_CS(%rsp), %rcx
    mov %rcx, THREAD_CS(%rax)
    mov IST_RFLAGS(%rsp), %rcx
    mov %rcx, THREAD_RFLAGS(%rax)
    mov IST_RSP(%rsp), %rcx
    mov %rcx, THREAD_RSP(%rax)
    mov IST_SS(%rsp), %rcx
    mov %rcx, THREAD_SS(%rax)
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
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov %rsp, %rdi
    mov %cr2, %rsi
    cld
    call trap_in_kernel /* 16 words since the aligned top of the stack */
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

    .section .rodata.trap_stubs, "a"
    .globl trap_stubs
    .balign 8
trap_stubs:
    .macro address vector
    .quad trap_stub_\vector
    .endm
    .set vector, 0
    .rept 256
    address %vector
    .set vector, vector + 1
    .endr

    .section .note.GNU-stack, "", @progbits
