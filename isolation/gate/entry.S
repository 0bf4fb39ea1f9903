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
    mov %rcx, THREAD_RIP(%rsp)
    mov %r11, THREAD_RFLAGS(%rsp)
    mov %rax, THREAD_RAX(%rsp)
    /* Arguments: a call that must wait for a page is repeated from here. */
    mov %rdi, THREAD_RDI(%rsp)
    mov %rsi, THREAD_RSI(%rsp)
    mov %rdx, THREAD_RDX(%rsp)
    mov %r10, THREAD_R10(%rsp)
    mov %r8, THREAD_R8(%rsp)
    mov %r9, THREAD_R9(%rsp)
    /* What the C convention lets the caller keep. */
    mov %rbx, THREAD_RBX(%rsp)
    mov %rbp, THREAD_RBP(%rsp)
    mov %r12, THREAD_R12(%rsp)
    mov %r13, THREAD_R13(%rsp)
    mov %r14, THREAD_R14(%rsp)
    mov %r15, THREAD_R15(%rsp)
    movb $RESUME_GATE, THREAD_RESUME(%rsp)
    mov gate_user_rsp(%rip), %rcx
    mov %rcx, THREAD_RSP(%rsp)
    mov %rsp, %rbx
    lea stack_gate_top(%rip), %rsp
    incq gate_counts_calls(%rip)
    mov %r10, %rcx
    call *gate_handlers(, %rax, 8)
    cmpb $0, percpu_reschedule(%rip)
    jne slow
    /* The same thread goes on: only rbx was used here. */
    mov THREAD_RIP(%rbx), %rcx
    mov THREAD_RFLAGS(%rbx), %r11
    mov THREAD_RSP(%rbx), %rsp
    mov THREAD_RBX(%rbx), %rbx
return_clean: /* what the call may destroy tells nothing of the kernel */
    xor %edx, %edx
    xor %esi, %esi
    xor %edi, %edi
    xor %r8d, %r8d
    xor %r9d, %r9d
    xor %r10d, %r10d
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
    incq gate_counts_reflections(%rip)
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
    mov THREAD_RAX(%rdi), %rax
    mov THREAD_RIP(%rdi), %rcx
    mov THREAD_RFLAGS(%rdi), %r11
    mov THREAD_RBX(%rdi), %rbx
    mov THREAD_RBP(%rdi), %rbp
    mov THREAD_R12(%rdi), %r12
    mov THREAD_R13(%rdi), %r13
    mov THREAD_R14(%rdi), %r14
    mov THREAD_R15(%rdi), %r15
    mov THREAD_RSP(%rdi), %rsp
    jmp return_clean
    .size gate_resume_call, . - gate_resume_call

/* noreturn void gate_resume_full(struct thread *): pops the frame as it lies in the thread. */
    .globl gate_resume_full
    .type gate_resume_full, @function
    .balign 16
gate_resume_full:
    mov %rdi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    iretq
    .size gate_resume_full, . - gate_resume_full

    .section .note.GNU-stack, "", @progbits
