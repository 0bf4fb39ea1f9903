/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/features.h>

#define APIC_SOFTWARE_ENABLE 0x100u
#define LVT_NMI (4u << 8)
#define DIVIDE_BY_1 0xbu
#define COMMAND_PENDING (1u << 12)
#define COMMAND_ASSERT (1u << 14)
#define COMMAND_WAIT_MAX 100000u
#define XAPIC_DESTINATION_SHIFT 24

#define LEAF_TOPOLOGY 0xbu

#define PIC_PRIMARY_MASK 0x21
#define PIC_SECONDARY_MASK 0xa1

/* @impl ATL-LLR-BOOT-0016~1 */
uint32_t cpu_apic_id(void)
{
    struct cpu_id topology = cpu_features_leaf(LEAF_TOPOLOGY, 0);
    return topology.ebx != 0 ? topology.edx : cpu_cpuid(1, 0).ebx >> 24;
}

/* @impl ATL-LLR-BOOT-0016~1 */
void cpu_apic_send(core_id_t core, uint32_t command)
{
    ASSERT(core.value < shared_facts.core_count);
    uint32_t apic_id = shared_facts.apic_id[core.value];
    command |= COMMAND_ASSERT;
    if (shared_facts.x2apic) {
        /* WRMSR to the x2APIC does not wait for stores: without the fence the receiver might look
         * before it can see what the interrupt is about. */
        cpu_mfence();
        cpu_lfence();
        cpu_wrmsr(MSR_X2APIC + (APIC_COMMAND >> 4), ((uint64_t)apic_id << 32) | command);
        return;
    }
    for (uint32_t i = 0;
         i < COMMAND_WAIT_MAX && (cpu_apic_read(APIC_COMMAND) & COMMAND_PENDING) != 0; i++) {
        cpu_pause();
    }
    cpu_apic_write(APIC_COMMAND_HIGH, apic_id << XAPIC_DESTINATION_SHIFT);
    cpu_apic_write(APIC_COMMAND, command);
}

/* @impl ATL-LLR-BOOT-0038~1 */
static void enable_mode(void)
{
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE) | MSR_APIC_BASE_ENABLE;
    cpu_wrmsr(MSR_APIC_BASE, base);
    if (shared_facts.x2apic) {
        cpu_wrmsr(MSR_APIC_BASE, base | MSR_APIC_BASE_X2APIC);
    }
}

/* @impl ATL-LLR-BOOT-0016~1 */
void cpu_apic_initialize(void)
{
    enable_mode();
    cpu_apic_write(APIC_SPURIOUS, APIC_SOFTWARE_ENABLE | VECTOR_SPURIOUS);
    cpu_apic_write(APIC_TASK_PRIORITY, 0);
    cpu_apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
    cpu_apic_write(APIC_LVT_LINT1, LVT_NMI);
    cpu_apic_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
    cpu_apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    cpu_apic_write(APIC_TIMER_INITIAL, 0);
    cpu_apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    /* An APIC that served the firmware may hold an interrupt in service. */
    cpu_apic_write(APIC_END_OF_INTERRUPT, 0);
}

void cpu_apic_discover(void)
{
    cpu_out8(PIC_PRIMARY_MASK, 0xff);
    cpu_out8(PIC_SECONDARY_MASK, 0xff);
    uint64_t base = cpu_rdmsr(MSR_APIC_BASE);
    /* Leaving x2APIC mode is not possible without a reset: stay in it where the loader set it. */
    shared_facts.x2apic = shared_facts.has_x2apic || (base & MSR_APIC_BASE_X2APIC) != 0;
    if (!shared_facts.x2apic) {
        shared_facts.device_pages[0] = base & MSR_APIC_BASE_ADDRESS;
        shared_facts.device_owners[0] = FACTS_EACH;
        shared_facts.device_page_count = 1;
    }
    enable_mode();
}
