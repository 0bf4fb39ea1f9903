/* SPDX-License-Identifier: Apache-2.0 */
/* Page zero and page copy. The registers used are saved on the stack and restored. AVX is used only
 * where XCR0 enables nothing wider: a VEX instruction clears the upper part of the register. */

#define PAGE_BYTES 4096
#define STEP_BYTES 256

/* Fills the page at rdi with one kind of register: cleared once by an instruction, or, without one,
 * loaded from the page at rsi each time. rax = end of the page. */
    .macro fill_page register, bytes, move, move_unaligned, clear:vararg
    sub $\bytes, %rsp
    \move_unaligned \register, (%rsp)
    \clear
1:
    .set offset, 0
    .rept STEP_BYTES / \bytes
    .ifb \clear
    \move offset(%rsi), \register
    .endif
    \move \register, offset(%rdi)
    .set offset, offset + \bytes
    .endr
    .ifb \clear
    add $STEP_BYTES, %rsi
    .endif
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    \move_unaligned (%rsp), \register
    add $\bytes, %rsp
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
    fill_page %ymm0, 32, vmovdqa, vmovdqu, vpxor %xmm0, %xmm0, %xmm0
2:  fill_page %xmm0, 16, movaps, movups, xorps %xmm0, %xmm0
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
    fill_page %ymm0, 32, vmovdqa, vmovdqu
2:  fill_page %xmm0, 16, movaps, movups
    .size cpu_page_copy, . - cpu_page_copy

    .section .note.GNU-stack, "", @progbits
