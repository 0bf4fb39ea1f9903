/* SPDX-License-Identifier: Apache-2.0 */
/* Page zero and page copy. The registers used are saved on the stack and restored. AVX is used only
 * where XCR0 enables nothing wider: a VEX instruction clears the upper part of the register. */

#define PAGE_BYTES 4096
#define STEP_BYTES 256

/* Both with one kind of register; rax = end of the page. */
    .macro zero_page register, bytes, move, move_unaligned, clear:vararg
    sub $\bytes, %rsp
    \move_unaligned \register, (%rsp)
    \clear
1:
    .set offset, 0
    .rept STEP_BYTES / \bytes
    \move \register, offset(%rdi)
    .set offset, offset + \bytes
    .endr
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    \move_unaligned (%rsp), \register
    add $\bytes, %rsp
    ret
    .endm

    .macro copy_page one, other, bytes, move, move_unaligned
    sub $(2 * \bytes), %rsp
    \move_unaligned \one, (%rsp)
    \move_unaligned \other, \bytes(%rsp)
1:
    .set offset, 0
    .rept STEP_BYTES / (2 * \bytes)
    \move offset(%rsi), \one
    \move offset + \bytes(%rsi), \other
    \move \one, offset(%rdi)
    \move \other, offset + \bytes(%rdi)
    .set offset, offset + 2 * \bytes
    .endr
    add $STEP_BYTES, %rsi
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    \move_unaligned (%rsp), \one
    \move_unaligned \bytes(%rsp), \other
    add $(2 * \bytes), %rsp
    ret
    .endm

    .section .text.cpu_page, "ax"

/* void cpu_page_zero(void *page rdi)
 * @impl ATL-LLR-BOOT-0011~1 */
    .globl cpu_page_zero
    .type cpu_page_zero, @function
    .balign 64
cpu_page_zero:
    lea PAGE_BYTES(%rdi), %rax
    cmpb $0, shared_cpu_page_by_avx(%rip)
    je 2f
    zero_page %ymm0, 32, vmovdqa, vmovdqu, vpxor %xmm0, %xmm0, %xmm0
2:  zero_page %xmm0, 16, movaps, movups, xorps %xmm0, %xmm0
    .size cpu_page_zero, . - cpu_page_zero

/* void cpu_page_copy(void *to rdi, const void *from rsi)
 * @impl ATL-LLR-BOOT-0011~1 */
    .globl cpu_page_copy
    .type cpu_page_copy, @function
    .balign 64
cpu_page_copy:
    lea PAGE_BYTES(%rdi), %rax
    cmpb $0, shared_cpu_page_by_avx(%rip)
    je 2f
    copy_page %ymm0, %ymm1, 32, vmovdqa, vmovdqu
2:  copy_page %xmm0, %xmm1, 16, movaps, movups
    .size cpu_page_copy, . - cpu_page_copy

    .section .note.GNU-stack, "", @progbits
