/* SPDX-License-Identifier: Apache-2.0 */
/* The way into the kernel by call, and the ways back. One entry for both rings: `syscall` in ring 3,
 * `syscall` or a jump from the gate page in ring 0. In every case:
 *   rcx = return address, r11 = flags to return to, rsp = the caller's, IF = TF = DF = AC = 0.
 * Nothing is written below the caller's rsp: application code keeps data there (red zone), and in
 * ring 0 its stack is as near as in ring 3.
 * @impl ATL-LLR-GATE-0001~1 */
#include "offsets.h"
#include <isolation/gate_numbers.h>

#define GATE_CALL_BASE 0x4100
#define RESUME_GATE 0

    .section .text.gate_entry, "ax"
    .globl gate_entry
    .type gate_entry, @function
    .balign 64
gate_entry:
    mov %rsp, gate_user_rsp(%rip)
    sub $GATE_CALL_BASE, %rax
    cmp $GATE_CALL_COUNT, %rax
    jae reflect
    mov percpu_current(%rip), %rsp
    mov %rcx, THREAD_rip(%rsp)
    mov %r11, THREAD_rflags(%rsp)
    /* The call and its arguments: one that must wait for a page is repeated from here. */
    thread_save rsp, rax, rdi, rsi, rdx, r10, r8, r9
    thread_save rsp, rbx, rbp, r12, r13, r14, r15 /* what the C convention lets the caller keep */
    movb $RESUME_GATE, THREAD_RESUME(%rsp)
    mov gate_user_rsp(%rip), %rcx
    mov %rcx, THREAD_rsp(%rsp)
    mov %rsp, %rbx
    lea stack_gate_top(%rip), %rsp
    incq gate_counts + COUNTS_CALLS(%rip)
    mov %r10, %rcx
    call *shared_gate_handlers(, %rax, 8)
    cmpb $0, percpu_reschedule(%rip)
    jne slow
    /* The same thread goes on: only rbx was used here. */
    mov THREAD_rip(%rbx), %rcx
    mov THREAD_rflags(%rbx), %r11
    mov THREAD_rsp(%rbx), %rsp
    mov THREAD_rbx(%rbx), %rbx
return_clean: /* what the call may destroy tells nothing of the kernel */
    .irp register, edx, esi, edi, r8d, r9d, r10d
    xor %\register, %\register
    .endr
gate_return:
    testb $3, gate_ring(%rip)
    jz gate_return_ring0
    /* rcx is what `syscall` stored: canonical, since the last user page is never mapped. */
    sysretq
gate_return_ring0:
    sti /* takes effect after the jump */
    jmp *%rcx
slow:
    mov %rax, %rdi
    call gate_return_slow
    ud2

/* A Linux call: to posix's entry in the same ring, every register as it was. */
reflect:
    add $GATE_CALL_BASE, %rax
    incq gate_counts + COUNTS_REFLECTIONS(%rip)
    mov gate_live_words(%rip), %rsp
    mov %rcx, WORDS_RETURN_RIP(%rsp)
    mov %r11, WORDS_RETURN_FLAGS(%rsp)
    mov gate_user_rsp(%rip), %rsp
    mov gate_syscall_entry(%rip), %rcx
    mov $0x202, %r11d
    jmp gate_return
    .size gate_entry, . - gate_entry

/* noreturn void gate_resume_call(struct thread *): frame.rax is the result. */
    .globl gate_resume_call
    .type gate_resume_call, @function
    .balign 16
gate_resume_call:
    mov THREAD_rip(%rdi), %rcx
    mov THREAD_rflags(%rdi), %r11
    thread_load rdi, rax, rbx, rbp, r12, r13, r14, r15, rsp
    jmp return_clean
    .size gate_resume_call, . - gate_resume_call

/* noreturn void gate_resume_full(struct thread *): pops the frame as it lies in the thread. */
    .globl gate_resume_full
    .type gate_resume_full, @function
    .balign 16
gate_resume_full:
    mov %rdi, %rsp
    .irp register, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    pop %\register
    .endr
    iretq
    .size gate_resume_full, . - gate_resume_full

    .section .note.GNU-stack, "", @progbits
