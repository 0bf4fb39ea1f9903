/* SPDX-License-Identifier: Apache-2.0 */
/* Page zero and page copy. The registers used are saved on the stack and restored. AVX is used only
 * where XCR0 enables nothing wider: a VEX instruction clears the upper part of the register. */

#define PAGE_BYTES 4096
#define STEP_BYTES 256

    .section .text.cpu_page, "ax"

/* void cpu_page_zero(void *page rdi)
 * @impl ATL-LLR-BOOT-0011~1 */
    .globl cpu_page_zero
    .type cpu_page_zero, @function
    .balign 64
cpu_page_zero:
    lea PAGE_BYTES(%rdi), %rax
    sub $32, %rsp
    cmpb $0, shared_cpu_page_by_avx(%rip)
    je zero_sse
    vmovdqu %ymm0, (%rsp)
    vpxor %xmm0, %xmm0, %xmm0
1:
    .set offset, 0
    .rept STEP_BYTES / 32
    vmovdqa %ymm0, offset(%rdi)
    .set offset, offset + 32
    .endr
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    vmovdqu (%rsp), %ymm0
    add $32, %rsp
    ret
zero_sse:
    movups %xmm0, (%rsp)
    xorps %xmm0, %xmm0
1:
    .set offset, 0
    .rept STEP_BYTES / 16
    movaps %xmm0, offset(%rdi)
    .set offset, offset + 16
    .endr
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    movups (%rsp), %xmm0
    add $32, %rsp
    ret
    .size cpu_page_zero, . - cpu_page_zero

/* void cpu_page_copy(void *to rdi, const void *from rsi)
 * @impl ATL-LLR-BOOT-0011~1 */
    .globl cpu_page_copy
    .type cpu_page_copy, @function
    .balign 64
cpu_page_copy:
    lea PAGE_BYTES(%rdi), %rax
    sub $64, %rsp
    cmpb $0, shared_cpu_page_by_avx(%rip)
    je copy_sse
    vmovdqu %ymm0, (%rsp)
    vmovdqu %ymm1, 32(%rsp)
1:
    .set offset, 0
    .rept STEP_BYTES / 64
    vmovdqa offset(%rsi), %ymm0
    vmovdqa offset + 32(%rsi), %ymm1
    vmovdqa %ymm0, offset(%rdi)
    vmovdqa %ymm1, offset + 32(%rdi)
    .set offset, offset + 64
    .endr
    add $STEP_BYTES, %rsi
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    vmovdqu (%rsp), %ymm0
    vmovdqu 32(%rsp), %ymm1
    add $64, %rsp
    ret
copy_sse:
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
1:
    .set offset, 0
    .rept STEP_BYTES / 32
    movaps offset(%rsi), %xmm0
    movaps offset + 16(%rsi), %xmm1
    movaps %xmm0, offset(%rdi)
    movaps %xmm1, offset + 16(%rdi)
    .set offset, offset + 32
    .endr
    add $STEP_BYTES, %rsi
    add $STEP_BYTES, %rdi
    cmp %rax, %rdi
    jne 1b
    movups (%rsp), %xmm0
    movups 16(%rsp), %xmm1
    add $64, %rsp
    ret
    .size cpu_page_copy, . - cpu_page_copy

    .section .note.GNU-stack, "", @progbits
