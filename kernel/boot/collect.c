/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/features.h>
#include <cpu/string.h>
#include <driver/power.h>

SHARED struct facts shared_facts;

static BOOT_BSS struct handover handover;

noreturn void boot_end(void)
{
    console_exit_record(CONSOLE_EXIT_REFUSED, 0, 0);
    power_off();
}

static void report_missing(const char *feature)
{
    console_log(CONSOLE_ERROR, "atoll: this processor has no %s\n", feature);
}

extern uintptr_t __stack_chk_guard;
extern const uint8_t boot_trampoline_start[], boot_trampoline_end[];

/* Until entropy replaces it; a zero byte stops string overruns. */
#define BOOT_CANARY 0x8f3a61d2c4b7e500u

/* @impl ATL-LLR-BOOT-0012~2 ATL-LLR-BOOT-0033~1 */
__attribute__((no_stack_protector)) void boot_collect(uint64_t info, uint64_t tsc)
{
    __stack_chk_guard = BOOT_CANARY; /* no caller or callee is protected by the old value */
    shared_facts.info.tsc_base = tsc;
    cpu_core_early_exceptions();
    console_discover();
    console_set_mode(boot_image_location.flags);
    uint32_t missing = cpu_features_decode(report_missing);
    if (missing != 0) {
        boot_refuse("the processor lacks %u required features", missing);
    }
    cpu_apic_discover();
    boot_loader_read(info, &handover);
    boot_memory_collect(&handover.map);
    boot_machine_collect(handover.rsdp);
    memcpy((void *)shared_facts.low_page, boot_trampoline_start,
           (size_t)(boot_trampoline_end - boot_trampoline_start));
}
