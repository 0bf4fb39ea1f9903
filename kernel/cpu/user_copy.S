/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that may fault. A fault in a block goes on byte by byte, so that the count is exact. */

/* An instruction that may fault, and where a fault goes on (cpu/exception.h). */
    .macro or_fault to, instruction:vararg
9:  \instruction
    .pushsection cpu_extable, "a"
    .balign 4
    .long 9b - .
    .long \to - .
    .popsection
    .endm

    .section .text.cpu_user_copy, "ax"

/* uint64_t cpu_user_copy(void *to rdi, const void *from rsi, uint64_t bytes rdx)
 * @impl ATL-LLR-BOOT-0010~1 */
    .globl cpu_user_copy
    .type cpu_user_copy, @function
    .balign 64
cpu_user_copy:
    cmpb $0, shared_cpu_has_smap(%rip)
    je 1f
    stac
1:  sub $32, %rdx
    jb copy_words
copy_block:
    or_fault block_faulted, mov (%rsi), %rax
    or_fault block_faulted, mov 8(%rsi), %rcx
    or_fault block_faulted, mov 16(%rsi), %r8
    or_fault block_faulted, mov 24(%rsi), %r9
    or_fault block_faulted, mov %rax, (%rdi)
    or_fault block_faulted, mov %rcx, 8(%rdi)
    or_fault block_faulted, mov %r8, 16(%rdi)
    or_fault block_faulted, mov %r9, 24(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %rdx
    jae copy_block
copy_words:
    add $32, %rdx /* 0..31 remain */
    sub $8, %rdx
    jb copy_bytes
copy_word:
    or_fault word_faulted, mov (%rsi), %rax
    or_fault word_faulted, mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rdx
    jae copy_word
copy_bytes:
    add $8, %rdx /* 0..7 remain, or more after a fault */
    jz copy_done
copy_byte:
    or_fault copy_done, movb (%rsi), %al
    or_fault copy_done, movb %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jnz copy_byte
copy_done:
    cmpb $0, shared_cpu_has_smap(%rip)
    je 1f
    clac
1:  mov %rdx, %rax
    ret
block_faulted:
    add $32, %rdx
    jmp copy_byte
word_faulted:
    add $8, %rdx
    jmp copy_byte
    .size cpu_user_copy, . - cpu_user_copy

    .section .note.GNU-stack, "", @progbits
