/* SPDX-License-Identifier: Apache-2.0 */
/* One core from its first instruction on its own page tables until it can run threads. */
#ifndef CPU_CORE_H
#define CPU_CORE_H

#include <cpu/instructions.h>
#include <percpu/base.h>

/* Until cpu_core_initialize: exceptions of the boot core reach trap_in_kernel on the stack in use.
 * Context: boot core, boot tables, whose code selector is SELECTOR_KERNEL_CODE */
void cpu_core_early_exceptions(void);

/* Prepares this core: GDT, TSS with its interrupt stacks, IDT, control registers, EFER, XCR0, the
 * registers of SYSCALL, TSC_AUX = core, local APIC with its timer stopped. Interrupts stay off.
 * Context: first thing on the core's own root, on its gate stack; core 0 before the others
 * State:   writes the IDT on core 0 */
void cpu_core_initialize(core_id_t core);

/* Leaves the boot tables for the core's own root and its gate stack: kernel_core_main(core).
 * Context: once on each core, regions built, interrupts off. */
noreturn void cpu_core_enter(core_id_t core, paddr_t root);

/* A new core on the boot tables finds out which core it is and enters as that one; one that is not
 * in the list stays halted. Context: a stack of BOOT_OTHER_STACK_BYTES, interrupts off */
noreturn void cpu_other_core_enter(void);

/* What cpu_core_enter and the start of the other cores call; kernel/main defines it. */
noreturn void kernel_core_main(core_id_t core);

/* Stores a byte at a physical address below 4 GiB that this core's tables do not show, through the
 * boot tables: only for registers that end the machine. Interrupts off; any root. */
void cpu_boot_store_u8(uint64_t physical, uint8_t value);

extern uintptr_t __stack_chk_guard;        /* of the compiler's stack protector */
extern const uint8_t boot_pml4_physical[]; /* its address is the value (kernel.ld) */

/* True until the core runs on its own root: PERCORE variables are not there yet. */
static inline bool cpu_is_on_boot_tables(void)
{
    return (cpu_read_cr3() & ~(PAGE_BYTES - 1)) == (uint64_t)boot_pml4_physical;
}

#endif
