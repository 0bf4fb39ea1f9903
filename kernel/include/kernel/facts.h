/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot core learns of the machine, once; read-only for everybody after seal. Numbers from
 * firmware and hypervisor were checked by the validator that wrote them here. */
#ifndef KERNEL_FACTS_H
#define KERNEL_FACTS_H

#include <percpu/base.h>

#define FACTS_MEMORY_RANGES_MAX 64u
#define FACTS_COMMAND_LINE_BYTES 1024u

struct memory_range {
    uint64_t start, end; /* page multiples, start < end, sorted, disjoint */
};

struct facts {
    /* memory: usable RAM above 1 MiB, without kernel and payload */
    struct memory_range memory[FACTS_MEMORY_RANGES_MAX];
    uint32_t memory_range_count;
    uint64_t memory_bytes; /* sum as the firmware told it, for reports */
    uint64_t memory_limit; /* end of the highest range */
    uint64_t low_page;     /* a free page below 640 KiB for the AP trampoline */
    /* cores that start: cpu 0 is the boot core */
    uint32_t core_count;
    uint32_t machine_core_count; /* enabled in the tables; may exceed core_count */
    uint32_t apic_id[CORE_COUNT_MAX];
    /* interrupt controllers and devices */
    uint64_t lapic_physical;
    bool x2apic;
    uint64_t ioapic_physical; /* 0: none */
    uint32_t ioapic_gsi_base;
    uint16_t uart_port; /* 0: none */
    uint32_t uart_gsi;
    bool uart_level, uart_active_low;
    /* power-off: 0 = not known */
    uint16_t acpi_pm1a_control, acpi_pm1b_control;
    uint8_t acpi_s5_a, acpi_s5_b;
    uint64_t acpi_sleep_control; /* HW-reduced: address; */
    bool acpi_sleep_is_memory;
    /* CPU */
    bool has_smep, has_smap, has_umip, has_rdrand, has_rdseed, has_avx, has_xsaveopt, has_1g_pages,
        has_rdtscp, has_x2apic;
    bool meltdown_possible;
    uint64_t extended_mask;  /* XCR0 */
    uint32_t extended_bytes; /* of an XSAVE area for it */
    uint8_t physical_address_bits;
    /* time */
    uint64_t tsc_hz, tsc_base, tsc_multiplier; /* see struct gate_info */
    uint64_t lapic_timer_hz;                   /* after the divider in use */
    uint64_t wall_base_ns;
    const char *tsc_source; /* "pvclock", "cpuid", "pit", "lapic" */
    /* start */
    char command_line[FACTS_COMMAND_LINE_BYTES];
    const char *loader; /* "pvh" or "multiboot2" */
    /* image payload, validated header; 0: none */
    uint64_t image_physical, image_bytes;
};

extern struct facts shared_facts;

#endif
