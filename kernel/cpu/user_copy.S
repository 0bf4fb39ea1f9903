/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that may fault. A fault in a block goes on byte by byte, so that the count is exact. */
#include <cpu/exception_table.h>

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
10: mov (%rsi), %rax
11: mov 8(%rsi), %rcx
12: mov 16(%rsi), %r8
13: mov 24(%rsi), %r9
14: mov %rax, (%rdi)
15: mov %rcx, 8(%rdi)
16: mov %r8, 16(%rdi)
17: mov %r9, 24(%rdi)
    add $32, %rsi
    add $32, %rdi
    sub $32, %rdx
    jae copy_block
copy_words:
    add $32, %rdx /* 0..31 remain */
    sub $8, %rdx
    jb copy_bytes
copy_word:
20: mov (%rsi), %rax
21: mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rdx
    jae copy_word
copy_bytes:
    add $8, %rdx /* 0..7 remain, or more after a fault */
    jz copy_done
copy_byte:
30: movb (%rsi), %al
31: movb %al, (%rdi)
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
    cpu_fixup 10b, block_faulted
    cpu_fixup 11b, block_faulted
    cpu_fixup 12b, block_faulted
    cpu_fixup 13b, block_faulted
    cpu_fixup 14b, block_faulted
    cpu_fixup 15b, block_faulted
    cpu_fixup 16b, block_faulted
    cpu_fixup 17b, block_faulted
    cpu_fixup 20b, word_faulted
    cpu_fixup 21b, word_faulted
    cpu_fixup 30b, copy_done
    cpu_fixup 31b, copy_done

    .section .note.GNU-stack, "", @progbits
