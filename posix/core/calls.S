/* SPDX-License-Identifier: Apache-2.0 */
/* The table of Linux calls: for each number how far its handler is from the table. A handler gets the
 * call's arguments as the C convention passes them; it takes those that it declares.
 * @impl ATL-LLR-POSIX-0004~1 */
#include "frame.h"
#include <posix/errno.h>
#include <posix/syscalls.h>

/* Hosted tests have no entry, and so no frame. */
#ifdef ATOLL_HOSTED
#define WITH_FRAME(name) posix_##name
#else
#define WITH_FRAME(name) posix_framed_##name
#endif

    .section .rodata
    .balign 4
#if defined(ATOLL_DEBUG) || defined(ATOLL_TRACE) /* each row leads to noted.S, which calls the handler */
#define HANDLERS posix_handlers
#undef WITH_FRAME
#define WITH_FRAME(name) posix_##name
    .globl posix_calls
posix_calls:
#define CALL(name) .long posix_noted - posix_calls;
#define CALL_RARE(name) .long posix_noted - posix_calls;
#define CALL_WITH_FRAME(name) .long posix_noted_with_frame - posix_calls;
#define CALL_ANSWERED(answer) .long posix_noted - posix_calls;
#define CALL_REFUSED(error) .long posix_noted - posix_calls;
#define CALL_NOT_OFFERED .long posix_noted - posix_calls;
#define CALL_UNKNOWN .long posix_noted - posix_calls;
#include <posix_calls.inc>
#undef CALL
#undef CALL_RARE
#undef CALL_WITH_FRAME
#undef CALL_ANSWERED
#undef CALL_REFUSED
#undef CALL_NOT_OFFERED
#undef CALL_UNKNOWN
#else
#define HANDLERS posix_calls
#endif
    .globl HANDLERS
HANDLERS: /* SYSCALL_COUNT rows, and one for larger numbers */
#define CALL(name) .long posix_##name - HANDLERS;
#ifdef POSIX_PLAIN /* posix-plain.elf: nobody leads to their handlers, and the linker leaves them out */
#define CALL_RARE(name) .long posix_not_offered - HANDLERS;
#else
#define CALL_RARE(name) CALL(name)
#endif
#define CALL_WITH_FRAME(name) .long WITH_FRAME(name) - HANDLERS;
#define CALL_ANSWERED(answer) .long posix_answered_##answer - HANDLERS;
#define CALL_REFUSED(error) .long posix_refused_##error - HANDLERS;
#define CALL_NOT_OFFERED .long posix_not_offered - HANDLERS;
#define CALL_UNKNOWN .long posix_unknown - HANDLERS;
#include <posix_calls.inc>

    .text
#undef CALL
#undef CALL_RARE
#undef CALL_WITH_FRAME
#undef CALL_ANSWERED
#undef CALL_REFUSED
#undef CALL_NOT_OFFERED
#undef CALL_UNKNOWN
#define CALL(name)
#define CALL_RARE(name)
#define CALL_WITH_FRAME(name)                                                                      \
    posix_framed_##name : lea posix_##name(%rip), %r11;                                            \
    jmp posix_call_with_frame;
#ifdef ATOLL_HOSTED
#undef CALL_WITH_FRAME
#define CALL_WITH_FRAME(name)
#endif
#define CALL_ANSWERED(answer)                                                                      \
    .ifndef posix_answered_##answer;                                                               \
    posix_answered_##answer : mov $answer, %eax;                                                   \
    ret;                                                                                           \
    .endif;
#define CALL_REFUSED(error)                                                                        \
    .ifndef posix_refused_##error;                                                                 \
    posix_refused_##error : mov $-error, %rax;                                                     \
    ret;                                                                                           \
    .endif;
#define CALL_NOT_OFFERED
#define CALL_UNKNOWN
#include <posix_calls.inc>

/* rax = the number */
posix_not_offered:
    mov %rax, %rdi
    jmp posix_syscall_refuse
posix_unknown:
    mov $SYSCALL_COUNT, %edi
    jmp posix_syscall_refuse

/* int64_t posix_syscall_invoke(uint64_t number, const struct gate_frame *frame) */
    .globl posix_syscall_invoke
    .type posix_syscall_invoke, @function
posix_syscall_invoke:
    mov $SYSCALL_COUNT, %eax
    cmp %rax, %rdi
    cmovb %rdi, %rax
    lea posix_calls(%rip), %rcx
    movslq (%rcx, %rax, 4), %r11
    add %rcx, %r11
    mov FRAME_RDI(%rsi), %rdi
    mov FRAME_RDX(%rsi), %rdx
    mov FRAME_R10(%rsi), %rcx
    mov FRAME_R8(%rsi), %r8
    mov FRAME_R9(%rsi), %r9
    mov FRAME_RSI(%rsi), %rsi
    jmp *%r11
    .size posix_syscall_invoke, . - posix_syscall_invoke

    .section .note.GNU-stack, "", @progbits
