/* SPDX-License-Identifier: Apache-2.0 */
/* What changes the root under its feet: the code here is mapped at the same address in both roots, and
 * no stack is used in between. Also the numbers of kernel/layout.h that kernel.ld repeats and compares. */
#include <kernel/layout.h>

    .globl layout_kernel_base, layout_percore_base
    .set layout_kernel_base, LAYOUT_KERNEL_BASE
    .set layout_percore_base, LAYOUT_PERCORE_BASE

    .section .text.cpu_start, "ax"

/* noreturn void cpu_core_enter(core_id_t core edi, paddr_t root rsi) */
    .globl cpu_core_enter
    .type cpu_core_enter, @function
    .balign 16
cpu_core_enter:
    mov %rsi, %cr3
    mov $stack_gate_top, %rsp
    xor %ebp, %ebp
    call kernel_core_main
    ud2
    .size cpu_core_enter, . - cpu_core_enter

/* void cpu_boot_store_u8(uint64_t physical rdi, uint8_t value sil) */
    .globl cpu_boot_store_u8
    .type cpu_boot_store_u8, @function
    .balign 16
cpu_boot_store_u8:
    mov %cr3, %rax
    mov $boot_pml4_physical, %ecx
    mov %rcx, %cr3
    mov %sil, (%rdi)
    mov %rax, %cr3
    ret
    .size cpu_boot_store_u8, . - cpu_boot_store_u8

    .section .note.GNU-stack, "", @progbits
