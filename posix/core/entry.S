/* SPDX-License-Identifier: Apache-2.0 */
/* The ways into posix/ from the application, and the two ways back. The same code runs in ring 0 and
 * in ring 3: selectors are taken from the registers, not from constants.
 *
 * Nothing is stored below the application's rsp (red zone). The kernel switches posix_words with
 * the thread, so a sequence here may be preempted anywhere; the ranges exit_call_* and exit_frame_*
 * are those in which an INTERRUPT sends the thread back to the range's begin with pending set. */
#include "frame.h"
#include <posix/errno.h>
#include <posix/syscalls.h>

#define FLAG_TRAP 0x100
/* What the instruction `syscall` clears, but for interrupts: alignment check, nested task,
 * direction, trap. */
#define FLAGS_CALL_CLEARS 0x44500
#define FLAGS_OWN 0x202
#define ERESTART_FIRST ERESTARTSYS
#define ERESTART_LAST ERESTART_RESTARTBLOCK

    .cfi_sections .debug_frame

/* For debuggers: where in a frame at rsp + base the application's registers are. DWARF: an expression
 * "rsp + n" with n in two bytes for each, and the application's rsp as the frame's address. */
    .macro cfi_saved register, offset
    .cfi_escape 0x10, \register, 3, 0x77, ((\offset) & 0x7f) | 0x80, ((\offset) >> 7) & 0x7f
    .endm

/* Of a call: what C functions keep is where they have it. */
    .macro cfi_call_frame base
    .cfi_escape 0x0f, 4, 0x77, ((\base + FRAME_RSP) & 0x7f) | 0x80, ((\base + FRAME_RSP) >> 7) & 0x7f, 0x06
    cfi_saved 1, \base + FRAME_RDX
    cfi_saved 2, \base + FRAME_RCX
    cfi_saved 4, \base + FRAME_RSI
    cfi_saved 5, \base + FRAME_RDI
    cfi_saved 8, \base + FRAME_R8
    cfi_saved 9, \base + FRAME_R9
    cfi_saved 10, \base + FRAME_R10
    cfi_saved 11, \base + FRAME_R11
    cfi_saved 16, \base + FRAME_RCX
    .endm

/* A whole one. */
    .macro cfi_frame base
    cfi_call_frame \base
    cfi_saved 0, \base + FRAME_RAX
    cfi_saved 3, \base + FRAME_RBX
    cfi_saved 6, \base + FRAME_RBP
    cfi_saved 12, \base + FRAME_R12
    cfi_saved 13, \base + FRAME_R13
    cfi_saved 14, \base + FRAME_R14
    cfi_saved 15, \base + FRAME_R15
    cfi_saved 16, \base + FRAME_RIP
    .endm

/* The first function on a stack: nobody called it. */
    .macro cfi_outermost
    .cfi_startproc
    .cfi_undefined %rip
    .endm

/* The registers that a C function may destroy and a call keeps, to the frame at rsp and back. */
    .macro save_arguments
    mov %rdi, FRAME_RDI(%rsp)
    mov %rsi, FRAME_RSI(%rsp)
    mov %rdx, FRAME_RDX(%rsp)
    mov %r10, FRAME_R10(%rsp)
    mov %r8, FRAME_R8(%rsp)
    mov %r9, FRAME_R9(%rsp)
    .endm

    .macro restore_arguments
    mov FRAME_RDI(%rsp), %rdi
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_R10(%rsp), %r10
    mov FRAME_R8(%rsp), %r8
    mov FRAME_R9(%rsp), %r9
    .endm

/* Those that C functions keep. */
    .macro restore_kept
    mov FRAME_R15(%rsp), %r15
    mov FRAME_R14(%rsp), %r14
    mov FRAME_R13(%rsp), %r13
    mov FRAME_R12(%rsp), %r12
    mov FRAME_RBP(%rsp), %rbp
    mov FRAME_RBX(%rsp), %rbx
    .endm

/* All but rsp. */
    .macro restore_registers
    restore_kept
    restore_arguments
    mov FRAME_R11(%rsp), %r11
    mov FRAME_RAX(%rsp), %rax
    mov FRAME_RCX(%rsp), %rcx
    .endm

/* rax = number: its handler, with its arguments; r11 and rcx are free. */
    .macro call_handler
    cmp $SYSCALL_COUNT, %rax
    jae 3f
2:  lea posix_calls(%rip), %rcx
    movslq (%rcx, %rax, 4), %r11
    add %rcx, %r11
    mov %r10, %rcx
    call *%r11
    .subsection 1
3:  mov $SYSCALL_COUNT, %eax
    jmp 2b
    .previous
    .endm

/* A detoured call (posix/detour.h): what the kernel does for a `syscall`, without it. The exchange is
 * the border: before it the thread is in the application, with its stack; behind it in posix/.
 * A program that makes single steps traps behind it; posix_upcall goes on at posix_syscall_inside.
 *
 * A frame is begun at the top of the posix stack, with what C functions destroy; what they keep stays
 * in its registers, and is stored only if somebody needs the whole frame: posix_frame_complete.
 * @impl ATL-LLR-POSIX-0007~1 */
    .section .text.detour, "ax", @progbits
    .globl posix_detour_entry, __posix_code_start
    .type posix_detour_entry, @function
posix_detour_entry:
    cfi_outermost
    .cfi_signal_frame
    xchg %rsp, posix_words + WORDS_STACK(%rip)
__posix_code_start:
    mov %rcx, posix_words + WORDS_RETURN_RIP(%rip)
    pushfq
    pop %r11
    test $FLAGS_CALL_CLEARS, %r11d
    jnz own_flags
enter:
    /* rsp = the empty posix stack, rcx = words.return_rip, r11 = flags to return with, no TF. */
    lea -FRAME_BYTES(%rsp), %rsp
    save_arguments
    mov %rcx, FRAME_RCX(%rsp)
    mov %r11, FRAME_R11(%rsp)
    mov %rax, FRAME_BYTES + THREAD_CALL(%rsp)
    mov posix_words + WORDS_STACK(%rip), %rcx
    mov %rcx, FRAME_RSP(%rsp)
    cfi_call_frame 0
    call_handler
    /* Codes that the application never sees are for posix_leave. */
    lea ERESTART_LAST(%rax), %rcx
    cmp $ERESTART_LAST - ERESTART_FIRST, %rcx
    jbe restart
leave_call:
    restore_arguments
    mov FRAME_R11(%rsp), %r11
    push %r11
    popfq
    /* From here on no instruction changes the flags. */
    lea FRAME_BYTES(%rsp), %rsp
    cfi_call_frame -FRAME_BYTES
    .globl posix_exit_call_begin
posix_exit_call_begin:
    /* rsp = the empty posix stack, below it the frame, of which only rcx is still needed;
     * words.stack and .return_rip are where the application goes on. Repeatable. */
    mov posix_words + WORDS_PENDING(%rip), %rcx
    jrcxz 1f
    jmp leave_pending
1:  mov FRAME_RCX - FRAME_BYTES(%rsp), %rcx
    xchg %rsp, posix_words + WORDS_STACK(%rip)
    .globl posix_exit_call_swapped
posix_exit_call_swapped:
    jmp *posix_words + WORDS_RETURN_RIP(%rip)
    .globl posix_exit_call_end
posix_exit_call_end:

own_flags:
    .cfi_undefined %rip
    push $FLAGS_OWN
    popfq
    jmp enter

restart:
    cfi_call_frame 0
    movq $1, posix_words + WORDS_PENDING(%rip)
    jmp leave_call
    .cfi_endproc
    .size posix_detour_entry, . - posix_detour_entry

    .text

/* A reflected call. rsp = the application's; every register is the application's but rcx and r11,
 * which a call destroys; posix_words has the return address, the flags and our stack.
 * @impl ATL-LLR-POSIX-0001~2 */
    .globl posix_syscall_entry
    .type posix_syscall_entry, @function
    .balign 64
posix_syscall_entry:
    cfi_outermost
    .cfi_signal_frame
    xchg %rsp, posix_words + WORDS_STACK(%rip)
    .globl posix_syscall_inside
posix_syscall_inside:
    mov posix_words + WORDS_RETURN_RIP(%rip), %rcx
    mov posix_words + WORDS_RETURN_FLAGS(%rip), %r11
    test $FLAG_TRAP, %r11d
    jz enter
    /* The application makes single steps: it is left by a whole frame. */
    lea -FRAME_BYTES(%rsp), %rsp
    save_arguments
    mov %rcx, FRAME_RCX(%rsp)
    mov %r11, FRAME_R11(%rsp)
    mov %rax, FRAME_BYTES + THREAD_CALL(%rsp)
    call posix_frame_complete
    cfi_frame 0
    mov FRAME_BYTES + THREAD_CALL(%rsp), %rax
    call_handler
    mov %rax, FRAME_RAX(%rsp)
    jmp leave_by_frame
    .cfi_endproc
    .size posix_syscall_entry, . - posix_syscall_entry

/* Within a call, rsp = the return address below the frame: stores what the frame does not have yet.
 * Destroys rax. */
    .globl posix_frame_complete
    .type posix_frame_complete, @function
posix_frame_complete:
    .cfi_startproc
    mov FRAME_R11 + 8(%rsp), %rax
    mov %rax, FRAME_RFLAGS + 8(%rsp)
    mov %r15, FRAME_R15 + 8(%rsp)
    mov %r14, FRAME_R14 + 8(%rsp)
    mov %r13, FRAME_R13 + 8(%rsp)
    mov %r12, FRAME_R12 + 8(%rsp)
    mov %rbp, FRAME_RBP + 8(%rsp)
    mov %rbx, FRAME_RBX + 8(%rsp)
    mov posix_words + WORDS_RETURN_RIP(%rip), %rax
    mov %rax, FRAME_RIP + 8(%rsp)
    mov posix_words + WORDS_STACK(%rip), %rax
    mov %rax, FRAME_RSP + 8(%rsp)
    mov %cs, %eax
    mov %rax, FRAME_CS + 8(%rsp)
    mov %ss, %eax
    mov %rax, FRAME_SS + 8(%rsp)
    lea 8(%rsp), %rax
    mov %rax, FRAME_BYTES + THREAD_FRAME + 8(%rsp)
    ret
    .cfi_endproc
    .size posix_frame_complete, . - posix_frame_complete

/* rsp = the empty posix stack; all registers but rcx are the application's, the flags too. */
leave_pending:
    .cfi_startproc
    .cfi_signal_frame
    .cfi_undefined %rip
    lea -FRAME_BYTES(%rsp), %rsp
    mov %rax, FRAME_RAX(%rsp)
    pushfq
    pop %rcx
    push $FLAGS_OWN
    popfq
    call posix_frame_complete
    mov %rcx, FRAME_RFLAGS(%rsp)
    jmp leave_by_frame
    .cfi_endproc

/* r11 = a handler that needs the whole frame and may change it; as call_handler otherwise. */
    .globl posix_call_with_frame
    .type posix_call_with_frame, @function
posix_call_with_frame:
    .cfi_startproc
    .cfi_signal_frame
    lea 8(%rsp), %rsp
    cfi_call_frame 0
    call posix_frame_complete
    cfi_frame 0
    call *%r11
    mov %rax, FRAME_RAX(%rsp)

/* rsp = the frame, at the top of the posix stack; everything pending was handled, unless something
 * came since. All registers are restored and the jump needs none, so this way serves after calls and
 * after interrupts; only single-stepping needs an IRETQ. */
leave_at_top:
    testl $FLAG_TRAP, FRAME_RFLAGS(%rsp)
    jnz leave_by_iret
    mov FRAME_RSP(%rsp), %rax
    mov %rax, posix_words + WORDS_STACK(%rip)
    mov FRAME_RIP(%rsp), %rax
    mov %rax, posix_words + WORDS_RETURN_RIP(%rip)
    restore_kept
    restore_arguments
    mov FRAME_R11(%rsp), %r11
    mov FRAME_RAX(%rsp), %rax
    push FRAME_RFLAGS(%rsp)
    popfq
    lea FRAME_BYTES(%rsp), %rsp
    jmp posix_exit_call_begin

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
    .cfi_endproc
    .size posix_call_with_frame, . - posix_call_with_frame

/* An interrupt or a fault. rdi = rsp = struct gate_upcall, which begins with the frame.
 * @impl ATL-LLR-POSIX-0002~1 */
    .globl posix_upcall_entry
    .type posix_upcall_entry, @function
    .balign 64
posix_upcall_entry:
    .cfi_startproc
    .cfi_signal_frame
    cfi_frame 0
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
    .cfi_endproc
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
    .cfi_startproc
    .cfi_signal_frame
    lea -FRAME_BYTES(%rsp), %rsp
    cfi_frame 0
    xor %ebp, %ebp
    call posix_thread_begin
    jmp leave_at_top
    .cfi_endproc
    .size posix_thread_entry, . - posix_thread_entry

/* A thread of posix/'s own: rdi = its function, which never returns; rsp = the empty posix stack. */
    .globl posix_service_entry
    .type posix_service_entry, @function
posix_service_entry:
    cfi_outermost
    xor %ebp, %ebp
    call *%rdi
    ud2
    .cfi_endproc
    .size posix_service_entry, . - posix_service_entry

/* The first thread: rsp = header.first_stack, which is too small and not aligned to its size. */
    .globl posix_start_entry
    .type posix_start_entry, @function
posix_start_entry:
    cfi_outermost
    xor %ebp, %ebp
    call posix_start_stack
    mov %rax, %rsp
    mov %rax, %rdi
    call posix_start
    ud2
    .cfi_endproc
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
