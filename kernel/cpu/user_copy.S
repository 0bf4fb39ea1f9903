/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that may fault. A fault in the copy by words goes on byte by byte, so that the count is
 * exact; one there ends it. Where each goes on: cpu/exception.c. */

    .section .text.cpu_user_copy, "ax"

/* uint64_t cpu_user_copy(void *to rdi, const void *from rsi, uint64_t bytes rdx)
 * @impl ATL-LLR-BOOT-0010~1 */
    .globl cpu_user_copy, cpu_user_copy_words, cpu_user_copy_bytes, cpu_user_copy_done
    .type cpu_user_copy, @function
    .balign 64
cpu_user_copy:
    cmpb $0, shared_cpu_has_smap(%rip)
    je cpu_user_copy_words
    stac
cpu_user_copy_words: /* rdx: what remains, from here on */
    cmp $32, %rdx
    jb copy_word
copy_block:
    mov (%rsi), %rax
    mov 8(%rsi), %rcx
    mov 16(%rsi), %r8
    mov 24(%rsi), %r9
    mov %rax, (%rdi)
    mov %rcx, 8(%rdi)
    mov %r8, 16(%rdi)
    mov %r9, 24(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %rdx
    cmp $32, %rdx
    jae copy_block
copy_word:
    cmp $8, %rdx
    jb cpu_user_copy_bytes
    mov (%rsi), %rax
    mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rdx
    jmp copy_word
cpu_user_copy_bytes:
    test %rdx, %rdx
    jz cpu_user_copy_done
    movb (%rsi), %al
    movb %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jmp cpu_user_copy_bytes
cpu_user_copy_done:
    cmpb $0, shared_cpu_has_smap(%rip)
    je 1f
    clac
1:  mov %rdx, %rax
    ret
    .size cpu_user_copy, . - cpu_user_copy

    .section .note.GNU-stack, "", @progbits
