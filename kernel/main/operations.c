/* SPDX-License-Identifier: Apache-2.0 */
/* The six operations that percpu needs, on the hardware. */
#include <cpu/apic.h>
#include <cpu/instructions.h>
#include <cpu/time.h>
#include <gate/gate.h>
#include <kernel/facts.h>
#include <kernel/region.h>
#include <percpu/operations.h>

#define INVALIDATE_PAGES_MAX 32u /* more than this: everything */

void percpu_operation_ipi(core_id_t core)
{
    cpu_apic_send(core, VECTOR_IPI);
}

void percpu_operation_invalidate(uint64_t address, uint64_t bytes)
{
    if (bytes == 0) {
        cpu_write_cr3(gate_cell.root.value);
    } else if (bytes == UINT64_MAX) {
        cpu_write_cr3(shared_regions[percpu_self.value].root.value);
    } else if (bytes > INVALIDATE_PAGES_MAX * PAGE_BYTES) {
        cpu_write_cr3(cpu_read_cr3());
    } else {
        for (uint64_t offset = 0; offset < bytes; offset += PAGE_BYTES) {
            cpu_invlpg(address + offset);
        }
    }
}

void percpu_operation_switch(struct thread *from, struct thread *to)
{
    uint64_t mask = shared_facts.info.extended_mask;
    if (from != NULL) {
        if (shared_facts.has_xsaveopt) {
            cpu_xsaveopt(from->extended, mask);
        } else {
            cpu_xsave(from->extended, mask);
        }
        from->fs_base = cpu_read_fs_base();
        from->gs_base = cpu_read_gs_base();
        /* Inline, here and below: 4 words, at each switch. */
        __builtin_memcpy(from->words, gate_cell.words, sizeof(from->words));
    }
    if (to != NULL) {
        cpu_xrstor(to->extended, mask);
        cpu_write_fs_base(to->fs_base);
        cpu_write_gs_base(to->gs_base);
        __builtin_memcpy(gate_cell.words, to->words, sizeof(to->words));
    }
}

uint64_t percpu_operation_now(void)
{
    return cpu_now_ns();
}

void percpu_operation_idle(uint64_t deadline_ns)
{
    if (deadline_ns < percpu_timer_ns) {
        cpu_timer_arm(deadline_ns);
    }
    cpu_halt_until_interrupt();
}
