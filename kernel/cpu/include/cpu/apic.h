/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC of this core: xAPIC registers in their device page, or x2APIC registers.
 * SDM volume 3, "Advanced programmable interrupt controller". Own core, interrupts off. */
#ifndef CPU_APIC_H
#define CPU_APIC_H

#include <cpu/instructions.h>
#include <cpu/msr.h>
#include <kernel/facts.h>
#include <kernel/layout.h>
#include <percpu/base.h>

enum apic_register {
    APIC_TASK_PRIORITY = 0x80,
    APIC_END_OF_INTERRUPT = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_LVT_TIMER = 0x320,
    APIC_LVT_LINT0 = 0x350,
    APIC_LVT_LINT1 = 0x360,
    APIC_LVT_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define APIC_LVT_MASKED (1u << 16)

#define APIC_PAGE ((volatile uint32_t *)LAYOUT_DEVICE_BASE) /* the first of facts.device_pages */

/* On the core's own root only. */
static inline void cpu_apic_write(enum apic_register reg, uint32_t value)
{
    if (shared_facts.x2apic) {
        cpu_wrmsr(MSR_X2APIC + ((uint32_t)reg >> 4), value);
    } else {
        APIC_PAGE[(uint32_t)reg / sizeof(uint32_t)] = value;
    }
}

static inline uint32_t cpu_apic_read(enum apic_register reg)
{
    if (shared_facts.x2apic) {
        return (uint32_t)cpu_rdmsr(MSR_X2APIC + ((uint32_t)reg >> 4));
    }
    return APIC_PAGE[(uint32_t)reg / sizeof(uint32_t)];
}

/* This core's, as CPUID tells it. Any state. */
uint32_t cpu_apic_id(void);

/* Enables the APIC with everything masked but NMI on LINT1. Part of cpu_core_initialize. */
void cpu_apic_initialize(void);

/* What one core sends another: a vector, which merges with the same one that is pending there, or
 * one of these. */
#define APIC_COMMAND_NMI (4u << 8)
#define APIC_COMMAND_INIT (5u << 8)
#define APIC_COMMAND_STARTUP(page) ((6u << 8) | (uint32_t)((page) / PAGE_BYTES)) /* below 1 MiB */
void cpu_apic_send(core_id_t core, uint32_t command);

/* Boot core on boot tables: masks the PIC, finds the APIC's address and mode (into shared_facts).
 */
void cpu_apic_discover(void);

#endif
