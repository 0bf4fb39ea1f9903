/* SPDX-License-Identifier: Apache-2.0 */
#include "start.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/smp.h>
#include <cpu/string.h>
#include <cpu/time.h>
#include <kernel/facts.h>
#include <kernel/region.h>
#include <percpu/operations.h>

_Static_assert(offsetof(struct facts, core_count) == FACTS_CORE_COUNT, "assembly");
_Static_assert(offsetof(struct facts, apic_id) == FACTS_APIC_ID, "assembly");
_Static_assert(sizeof(struct region) == REGION_BYTES, "assembly");
_Static_assert(offsetof(struct region, root) == REGION_ROOT, "assembly");

extern const uint8_t trampoline_start[], trampoline_end[];
/* Places in the trampoline that hold an address of its own copy. */
extern const uint8_t trampoline_gdt[], trampoline_gdt_base[];
extern const uint8_t trampoline_long[], trampoline_long_target[];

/* Written once by the core that starts, read by core 0, which waits for it; before seal only. */
static SHARED _Atomic uint8_t shared_core_runs[CORE_COUNT_MAX];

void start_report(core_id_t core)
{
    atomic_store_explicit(&shared_core_runs[core.value], 1, memory_order_release);
}

static void relocate(uint8_t *copy, const uint8_t *field, const uint8_t *target)
{
    uint32_t address = (uint32_t)(uintptr_t)copy + (uint32_t)(target - trampoline_start);
    memcpy(copy + (field - trampoline_start), &address, sizeof(address));
}

void cpu_smp_prepare(void)
{
    uint8_t *copy = (uint8_t *)shared_facts.low_page;
    size_t bytes = (size_t)(trampoline_end - trampoline_start);
    ASSERT(bytes <= PAGE_BYTES);
    memcpy(copy, trampoline_start, bytes);
    relocate(copy, trampoline_gdt_base, trampoline_gdt);
    relocate(copy, trampoline_long_target, trampoline_long);
}

static PERCORE char failure[48];

static noreturn void report_missing(uint32_t core)
{
    static const char text[] = "core NN did not start";
    memcpy(failure, text, sizeof(text));
    failure[5] = (char)('0' + core / 10 % 10);
    failure[6] = (char)('0' + core % 10);
    percpu_operation_panic(failure);
}

static void wait_for(uint32_t core)
{
    uint64_t deadline = cpu_now_ns() + CPU_SMP_START_NS_MAX;
    while (atomic_load_explicit(&shared_core_runs[core], memory_order_acquire) == 0) {
        if (cpu_now_ns() > deadline) {
            report_missing(core);
        }
        cpu_pause();
    }
}

/* @impl ATL-LLR-BOOT-0015~1 */
void cpu_smp_start(void)
{
    for (uint32_t core = 1; core < shared_facts.core_count; core++) {
        cpu_apic_send_init(shared_facts.apic_id[core]);
        cpu_apic_send_startup(shared_facts.apic_id[core], shared_facts.low_page);
    }
    for (uint32_t core = 1; core < shared_facts.core_count; core++) {
        wait_for(core);
    }
}
