/* SPDX-License-Identifier: Apache-2.0 */
#include "start.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/smp.h>
#include <cpu/time.h>
#include <kernel/facts.h>
#include <kernel/region.h>

_Static_assert(offsetof(struct facts, core_count) == FACTS_CORE_COUNT, "assembly");
_Static_assert(offsetof(struct facts, apic_id) == FACTS_APIC_ID, "assembly");
_Static_assert(sizeof(struct region) == REGION_BYTES, "assembly");
_Static_assert(offsetof(struct region, root) == REGION_ROOT, "assembly");

/* Written once by the core that starts, read by core 0, which waits for it; before seal only. */
static SHARED _Atomic uint8_t shared_core_runs[CORE_COUNT_MAX];

void start_report(core_id_t core)
{
    atomic_store_explicit(&shared_core_runs[core.value], 1, memory_order_release);
}

static bool await(uint32_t core)
{
    uint64_t deadline = cpu_now_ns() + CPU_SMP_START_NS_MAX;
    while (atomic_load_explicit(&shared_core_runs[core], memory_order_acquire) == 0) {
        if (cpu_now_ns() > deadline) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

/* @impl ATL-LLR-BOOT-0015~1 */
uint32_t cpu_smp_start(void)
{
    for (uint32_t core = 1; core < shared_facts.core_count; core++) {
        cpu_apic_send_init(shared_facts.apic_id[core]);
        cpu_apic_send_startup(shared_facts.apic_id[core], shared_facts.low_page);
    }
    uint32_t core = 1;
    while (core < shared_facts.core_count && await(core)) {
        core++;
    }
    return core;
}
