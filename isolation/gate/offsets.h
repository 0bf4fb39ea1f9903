/* SPDX-License-Identifier: Apache-2.0 */
/* Places in struct thread, gate_words and gate_core_counts that the assembly uses; leave.c locks
 * each by static_assert. */
#ifndef ISOLATION_GATE_OFFSETS_H
#define ISOLATION_GATE_OFFSETS_H

/* struct thread_frame, with which struct thread begins: each is 8 bytes. */
#define THREAD_FRAME_ORDER(each)                                                                   \
    each(r15) each(r14) each(r13) each(r12) each(rbp) each(rbx) each(r11) each(r10) each(r9)       \
        each(r8) each(rax) each(rcx) each(rdx) each(rsi) each(rdi) /* then what IRETQ pops */      \
        each(rip) each(cs) each(rflags) each(rsp) each(ss)
#define THREAD_RESUME 208

#define WORDS_RETURN_RIP 8
#define WORDS_RETURN_FLAGS 16

/* In struct gate_core_counts. */
#define COUNTS_CALLS 40
#define COUNTS_REFLECTIONS 48

#ifdef __ASSEMBLER__
/* clang-format off */
#define PLACE(register) .set THREAD_##register, place; .set place, place + 8;
    .set place, 0
    THREAD_FRAME_ORDER(PLACE)

/* Registers, by name without %, to and from the thread that `thread` points to. */
    .macro thread_save thread, registers:vararg
    .irp register, \registers
    mov %\register, THREAD_\register(%\thread)
    .endr
    .endm

    .macro thread_load thread, registers:vararg
    .irp register, \registers
    mov THREAD_\register(%\thread), %\register
    .endr
    .endm
/* clang-format on */
#endif

#endif
