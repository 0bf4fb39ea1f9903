/* SPDX-License-Identifier: Apache-2.0 */
/* In debug images and those of ./atoll trace the table of Linux calls (calls.S) leads here, and from here to the handlers: so
 * calls are noted whichever way they came, and posix/ of other images knows nothing of it. */
#include "frame.h"
#include "noted.h"

    .cfi_sections .debug_frame

    .macro reload_arguments
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov 16(%rsp), %rdx
    mov 24(%rsp), %rcx
    mov 32(%rsp), %r8
    mov 40(%rsp), %r9
    .endm

/* rax = a number of the table, arguments as the handler wants them.
 * @impl ATL-LLR-POSIX-1000~1 */
    .text
    .globl posix_noted
    .type posix_noted, @function
posix_noted:
    .cfi_startproc
    sub $NOTED_BYTES, %rsp
    .cfi_adjust_cfa_offset NOTED_BYTES
    mov %rdi, (%rsp)
    mov %rsi, 8(%rsp)
    mov %rdx, 16(%rsp)
    mov %rcx, 24(%rsp)
    mov %r8, 32(%rsp)
    mov %r9, 40(%rsp)
    mov %rax, NOTED_NUMBER(%rsp)
    movq $0, NOTED_SESSION(%rsp)
    bt %rax, posix_noted_calls(%rip)
    jnc 1f
    mov %rsp, %rdi
    call posix_note_enter
    reload_arguments
    mov NOTED_NUMBER(%rsp), %rax
1:  lea posix_handlers(%rip), %r10
    movslq (%r10, %rax, 4), %r11
    add %r10, %r11
    call *%r11
    mov NOTED_NUMBER(%rsp), %rcx
    bt %rcx, posix_noted_calls(%rip)
    jnc 2f
    mov %rsp, %rdi
    mov %rax, %rsi
    call posix_note_leave
2:  add $NOTED_BYTES, %rsp
    .cfi_adjust_cfa_offset -NOTED_BYTES
    ret
    .cfi_endproc
    .size posix_noted, . - posix_noted

/* Of a handler that needs the whole frame: posix_call_with_frame calls it, and keeps no number. */
    .globl posix_noted_with_frame
    .type posix_noted_with_frame, @function
posix_noted_with_frame:
    .cfi_startproc
    lea noted_number_kept(%rip), %r11
    jmp posix_call_with_frame
    .cfi_endproc
    .size posix_noted_with_frame, . - posix_noted_with_frame

noted_number_kept:
    .cfi_startproc
    mov 8 + FRAME_BYTES + THREAD_CALL(%rsp), %rax
    jmp posix_noted
    .cfi_endproc

    .section .note.GNU-stack, "", @progbits
