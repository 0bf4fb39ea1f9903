/* SPDX-License-Identifier: Apache-2.0 */
/* The ways into posix/ from the application, and the two ways back. The same code runs in ring 0 and
 * in ring 3: selectors are taken from the registers, not from constants.
 *
 * Nothing is stored below the application's rsp (red zone). The kernel switches posix_words with
 * the thread, so a sequence here may be preempted anywhere; the ranges exit_call_* and exit_frame_*
 * are those in which an INTERRUPT sends the thread back to the range's begin with pending set. */
#include "frame.h"

#define FLAG_TRAP 0x100
/* What the instruction `syscall` clears, but for interrupts: alignment check, nested task,
 * direction, trap. */
#define FLAGS_CALL_CLEARS 0x44500
#define FLAGS_OWN 0x202

/* All but rsp, from the frame at rsp. */
    .macro restore_registers
    mov FRAME_R15(%rsp), %r15
    mov FRAME_R14(%rsp), %r14
    mov FRAME_R13(%rsp), %r13
    mov FRAME_R12(%rsp), %r12
    mov FRAME_RBP(%rsp), %rbp
    mov FRAME_RBX(%rsp), %rbx
    mov FRAME_R11(%rsp), %r11
    mov FRAME_R10(%rsp), %r10
    mov FRAME_R9(%rsp), %r9
    mov FRAME_R8(%rsp), %r8
    mov FRAME_RAX(%rsp), %rax
    mov FRAME_RCX(%rsp), %rcx
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDI(%rsp), %rdi
    .endm

/* A detoured call (posix/detour.h): what the kernel does for a `syscall`, without it. The exchange is
 * the border: before it the thread is in the application, with its stack; behind it in posix/.
 * A program that makes single steps traps behind it; posix_upcall goes on at posix_syscall_inside.
 * @impl ATL-LLR-POSIX-0007~1 */
    .section .text.detour, "ax", @progbits
    .globl posix_detour_entry, __posix_code_start
    .type posix_detour_entry, @function
posix_detour_entry:
    xchg %rsp, posix_words + WORDS_STACK(%rip)
__posix_code_start:
    mov %rcx, posix_words + WORDS_RETURN_RIP(%rip)
    pushfq
    pop posix_words + WORDS_RETURN_FLAGS(%rip)
    testl $FLAGS_CALL_CLEARS, posix_words + WORDS_RETURN_FLAGS(%rip)
    jz posix_syscall_inside
    push $FLAGS_OWN
    popfq
    jmp posix_syscall_inside
    .size posix_detour_entry, . - posix_detour_entry

    .text

/* A Linux call. rsp = the application's; every register is the application's but rcx and r11, which
 * a call destroys; posix_words has the return address, the flags and our stack.
 * @impl ATL-LLR-POSIX-0001~1 */
    .globl posix_syscall_entry
    .type posix_syscall_entry, @function
    .balign 64
posix_syscall_entry:
    xchg %rsp, posix_words + WORDS_STACK(%rip)
    .globl posix_syscall_inside
posix_syscall_inside:
    /* rsp = the empty posix stack; a struct gate_frame is built downwards. */
    mov %ss, %ecx
    push %rcx
    push posix_words + WORDS_STACK(%rip)
    mov posix_words + WORDS_RETURN_FLAGS(%rip), %r11
    push %r11
    mov %cs, %ecx
    push %rcx
    mov posix_words + WORDS_RETURN_RIP(%rip), %rcx
    push %rcx
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    xor %ebp, %ebp
    call posix_syscall_dispatch
    cmpq $0, posix_words + WORDS_PENDING(%rip)
    jne leave_by_frame

/* rsp = the frame, at the top of the posix stack; everything pending was handled, unless something
 * came since. All registers are restored and the jump needs none, so this way serves after calls and
 * after interrupts; only single-stepping needs an IRETQ. */
leave_at_top:
    testl $FLAG_TRAP, FRAME_RFLAGS(%rsp)
    jnz leave_by_iret
    push FRAME_RFLAGS(%rsp)
    popfq
    /* From here on no instruction changes the flags. */
    lea FRAME_BYTES(%rsp), %rsp
    .globl posix_exit_call_begin
posix_exit_call_begin:
    /* rsp = the empty posix stack, the frame lies below it; repeatable up to the exchange. */
    mov posix_words + WORDS_PENDING(%rip), %rcx
    jrcxz 1f
    lea -FRAME_BYTES(%rsp), %rsp
    jmp leave_by_frame
1:  mov FRAME_RSP - FRAME_BYTES(%rsp), %rcx
    mov %rcx, posix_words + WORDS_STACK(%rip)
    mov FRAME_RIP - FRAME_BYTES(%rsp), %rcx
    mov %rcx, posix_words + WORDS_RETURN_RIP(%rip)
    mov FRAME_R15 - FRAME_BYTES(%rsp), %r15
    mov FRAME_R14 - FRAME_BYTES(%rsp), %r14
    mov FRAME_R13 - FRAME_BYTES(%rsp), %r13
    mov FRAME_R12 - FRAME_BYTES(%rsp), %r12
    mov FRAME_RBP - FRAME_BYTES(%rsp), %rbp
    mov FRAME_RBX - FRAME_BYTES(%rsp), %rbx
    mov FRAME_R11 - FRAME_BYTES(%rsp), %r11
    mov FRAME_R10 - FRAME_BYTES(%rsp), %r10
    mov FRAME_R9 - FRAME_BYTES(%rsp), %r9
    mov FRAME_R8 - FRAME_BYTES(%rsp), %r8
    mov FRAME_RAX - FRAME_BYTES(%rsp), %rax
    mov FRAME_RCX - FRAME_BYTES(%rsp), %rcx
    mov FRAME_RDX - FRAME_BYTES(%rsp), %rdx
    mov FRAME_RSI - FRAME_BYTES(%rsp), %rsi
    mov FRAME_RDI - FRAME_BYTES(%rsp), %rdi
    xchg %rsp, posix_words + WORDS_STACK(%rip)
    .globl posix_exit_call_swapped
posix_exit_call_swapped:
    jmp *posix_words + WORDS_RETURN_RIP(%rip)
    .globl posix_exit_call_end
posix_exit_call_end:

/* rsp = a frame anywhere on the posix stack. posix_leave returns it moved to the top. */
leave_by_frame:
    mov %rsp, %rdi
    call posix_leave
    mov %rax, %rsp
    jmp leave_at_top

/* Processors pop this in any ring; QEMU before 9.1 reads the stack with supervisor rights even in
 * ring 3, which SMAP forbids: another reason to come here only when there is no other way. */
leave_by_iret:
    lea FRAME_BYTES(%rsp), %rcx
    mov %rcx, posix_words + WORDS_STACK(%rip)
    .globl posix_exit_frame_begin
posix_exit_frame_begin:
    /* rsp = the frame, words.stack = the empty posix stack; repeatable up to the IRETQ. */
    cmpq $0, posix_words + WORDS_PENDING(%rip)
    jne leave_by_frame
    restore_registers
    lea FRAME_RIP(%rsp), %rsp
    .globl posix_exit_frame_last
posix_exit_frame_last:
    iretq
    .globl posix_exit_frame_end
posix_exit_frame_end:
    .size posix_syscall_entry, . - posix_syscall_entry

/* An interrupt or a fault. rdi = rsp = struct gate_upcall, which begins with the frame.
 * @impl ATL-LLR-POSIX-0002~1 */
    .globl posix_upcall_entry
    .type posix_upcall_entry, @function
    .balign 64
posix_upcall_entry:
    xor %ebp, %ebp
    call posix_upcall
    test %al, %al
    jnz leave_by_frame
    /* posix/ itself goes on, at a fix-up; the record is not needed any more, and below our own rsp
     * nothing is kept, so the address to go on at may lie there. */
    mov FRAME_RSP(%rsp), %rax
    mov FRAME_RIP(%rsp), %rcx
    mov %rcx, -8(%rax)
    push FRAME_RFLAGS(%rsp)
    popfq
    restore_registers
    mov FRAME_RSP(%rsp), %rsp
    lea -8(%rsp), %rsp
    ret
    .size posix_upcall_entry, . - posix_upcall_entry

/* noreturn void posix_enter(struct gate_frame *frame): into the application. */
    .globl posix_enter
    .type posix_enter, @function
posix_enter:
    mov %rdi, %rsp
    jmp leave_by_frame
    .size posix_enter, . - posix_enter

/* A thread made by clone. rdi = its record = rsp; its first frame lies just below. */
    .globl posix_thread_entry
    .type posix_thread_entry, @function
posix_thread_entry:
    lea -FRAME_BYTES(%rsp), %rsp
    xor %ebp, %ebp
    call posix_thread_begin
    jmp leave_at_top
    .size posix_thread_entry, . - posix_thread_entry

/* A thread of posix/'s own: rdi = its function, which never returns; rsp = the empty posix stack. */
    .globl posix_service_entry
    .type posix_service_entry, @function
posix_service_entry:
    xor %ebp, %ebp
    call *%rdi
    ud2
    .size posix_service_entry, . - posix_service_entry

/* The first thread: rsp = header.first_stack, which is too small and not aligned to its size. */
    .globl posix_start_entry
    .type posix_start_entry, @function
posix_start_entry:
    xor %ebp, %ebp
    call posix_start_stack
    mov %rax, %rsp
    mov %rax, %rdi
    call posix_start
    ud2
    .size posix_start_entry, . - posix_start_entry

/* struct gate_words: the first bytes of the per-core data, see posix.ld. */
    .section .percore.words, "aw", @nobits
    .globl posix_words
    .type posix_words, @object
    .balign 64
posix_words:
    .skip WORDS_BYTES
    .size posix_words, . - posix_words

    .section .note.GNU-stack, "", @progbits
