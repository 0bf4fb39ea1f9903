/* SPDX-License-Identifier: Apache-2.0 */
/* How a core comes to its own tables and stack. */
#include <kernel/layout.h>
#include "start.h"


    .section .text.cpu_start, "ax"

/* noreturn void cpu_core_enter(core_id_t core edi). Boot tables or trampoline's; the code here is
 * mapped at the same address in both roots; no stack is used in between. */
    .globl cpu_core_enter
    .type cpu_core_enter, @function
    .balign 16
cpu_core_enter:
    movzwl %di, %edi
    imul $REGION_BYTES, %rdi, %rax
    mov shared_regions + REGION_ROOT(%rax), %rax
    mov %rax, %cr3
    mov $stack_gate_top, %rsp
    xor %ebp, %ebp
    call kernel_core_main
    ud2
    .size cpu_core_enter, . - cpu_core_enter

/* void cpu_boot_store_u8(uint64_t physical rdi, uint8_t value sil). No stack while the boot tables are
 * loaded: it is not mapped there. */
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

/* A new core, in long mode on the boot tables, without a stack: finds out which core it is. A core
 * that is not in the list stays halted. */
    .globl cpu_other_core_enter
    .balign 16
cpu_other_core_enter:
    xor %eax, %eax
    cpuid
    cmp $0xb, %eax
    jb 1f
    mov $0xb, %eax
    xor %ecx, %ecx
    cpuid
    test %ebx, %ebx
    mov %edx, %esi
    jnz 2f
1:  mov $1, %eax
    cpuid
    shr $24, %ebx
    mov %ebx, %esi
2:  mov shared_facts + FACTS_CORE_COUNT(%rip), %ecx
    xor %edi, %edi
3:  cmp %esi, shared_facts + FACTS_APIC_ID(, %rdi, 4)
    je cpu_core_enter
    inc %edi
    cmp %ecx, %edi
    jb 3b
4:  cli
    hlt
    jmp 4b

    .section .note.GNU-stack, "", @progbits
