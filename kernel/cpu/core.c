/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptors.h"
#include "start.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/instructions.h>
#include <cpu/msr.h>
#include <kernel/facts.h>
#include <kernel/layout.h>
#include <kernel/region.h>

_Static_assert(offsetof(struct facts, core_count) == FACTS_CORE_COUNT, "assembly");
_Static_assert(offsetof(struct facts, apic_id) == FACTS_APIC_ID, "assembly");
_Static_assert(sizeof(struct region) == REGION_BYTES, "assembly");
_Static_assert(offsetof(struct region, root) == REGION_ROOT, "assembly");

extern const uint8_t gate_entry[]; /* the gate's assembly */

static void write_control_registers(void)
{
    cpu_write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
    uint64_t cr4 =
        CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE;
    cr4 |= shared_facts.has_smep ? CR4_SMEP : 0;
    cr4 |= shared_facts.has_smap ? CR4_SMAP : 0;
    cr4 |= shared_facts.has_umip ? CR4_UMIP : 0;
    cpu_write_cr4(cr4);
    cpu_xsetbv(0, shared_facts.extended_mask);
}

/* SYSCALL: interrupts, single step, direction, alignment checks and nested task off at entry.
 * SYSRET takes CS = base + 16 and SS = base + 8. SDM volume 2, SYSCALL and SYSRET. */
static void write_call_registers(core_id_t core)
{
    uint64_t sysret_base = SELECTOR_USER_CODE_32 | 3;
    cpu_wrmsr(MSR_EFER, MSR_EFER_SCE | MSR_EFER_LME | MSR_EFER_LMA | MSR_EFER_NXE);
    cpu_wrmsr(MSR_STAR, (sysret_base << 48) | ((uint64_t)SELECTOR_KERNEL_CODE << 32));
    cpu_wrmsr(MSR_LSTAR, (uint64_t)gate_entry);
    cpu_wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_AC | RFLAGS_NT);
    if (shared_facts.has_rdtscp) {
        cpu_wrmsr(MSR_TSC_AUX, core.value);
    }
}

/* @impl ATL-LLR-BOOT-0014~1 */
void cpu_core_initialize(core_id_t core)
{
    if (core.value == 0) {
        descriptors_build_idt(true);
    }
    descriptors_load();
    write_control_registers();
    write_call_registers(core);
    cpu_apic_initialize();
}
