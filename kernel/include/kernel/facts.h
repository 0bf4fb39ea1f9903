/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot core learns of the machine, once; read-only for everybody after seal. Numbers from
 * firmware and hypervisor were checked by the validator that wrote them here. */
#ifndef KERNEL_FACTS_H
#define KERNEL_FACTS_H

#include <isolation/gate_abi.h>
#include <percpu/base.h>

#define FACTS_MEMORY_RANGES_MAX 1002u
#define FACTS_IOAPICS_MAX 4u
/* A network of CORE_COUNT_MAX pairs has 132: registers, a notification page for each of 129 queues,
 * MSI-X entries, configuration. */
#define FACTS_DEVICE_PAGES_MAX (45u + GATE_NETWORKS * 132u)
#define FACTS_SLOTS_MAX 8u
#define FACTS_NEIGHBOUR_BYTES 65536u

struct memory_range {
    uint64_t start, end; /* page multiples, start < end, sorted, disjoint */
};

/* An input of an I/O APIC. */
struct facts_interrupt {
    uint32_t gsi;
    bool is_level, is_active_low;
};

struct facts_ioapic {
    uint64_t physical;
    uint64_t registers; /* where core 0 sees them (driver/device.h); 0: nowhere */
    uint32_t gsi_base;
};

/* A virtio device. Addresses are physical, and those at which core 0 sees registers once the kernel
 * drives it. */
struct facts_virtio {
    uint32_t kind; /* 0: there is none */
    bool is_pci;
    uint64_t registers, notify;
    uint32_t notify_bytes, notify_multiplier; /* PCI */
    uint64_t msix;                            /* PCI: entry 0 of its table; 0: none */
    uint32_t msix_control;                    /* PCI: where in configuration space */
    uint32_t pairs;  /* of a network's queues, so many that cores can have one each; else 0 */
    uint64_t config; /* what belongs to the device's kind; 0: none */
    struct facts_interrupt interrupt; /* MMIO */
};

struct facts {
    /* memory: usable RAM above 1 MiB, without kernel and payload */
    struct memory_range memory[FACTS_MEMORY_RANGES_MAX];
    uint32_t memory_range_count;
    uint64_t memory_limit; /* end of the highest range */
    uint64_t low_page;     /* a free page below 640 KiB for the AP trampoline */
    /* cores that start: cpu 0 is the boot core; at first those that the tables enable */
    uint32_t core_count;
    uint32_t apic_id[CORE_COUNT_MAX];
    /* interrupt controllers and devices */
    bool x2apic;
    struct facts_ioapic ioapics[FACTS_IOAPICS_MAX];
    uint32_t ioapic_count;
    bool has_uart;
    struct facts_interrupt uart;
    struct facts_virtio slots[FACTS_SLOTS_MAX]; /* where virtio-mmio devices may be */
    uint32_t slot_count;
    struct facts_virtio virtio_console, virtio_entropy, virtio_doorbell;
    struct facts_virtio virtio_networks[GATE_NETWORKS]; /* in the order in which they are found */
    /* From LAYOUT_DEVICE_BASE on; the first is the local APIC's, if it has one. */
    uint64_t device_pages[FACTS_DEVICE_PAGES_MAX];
    uint8_t device_owners[FACTS_DEVICE_PAGES_MAX]; /* the one core that sees it, or FACTS_EACH */
    uint32_t device_page_count;
    uint64_t xen_console; /* where core 0 sees two pages of memory (driver/xen.c); 0: nowhere */
    uint64_t neighbour_physical; /* FACTS_NEIGHBOUR_BYTES shared with another machine; 0: none */
    /* power-off: 0 = not known */
    uint16_t acpi_pm1a_control, acpi_pm1b_control;
    uint8_t acpi_s5_a, acpi_s5_b;
    uint64_t acpi_sleep_control; /* HW-reduced: address; */
    bool acpi_sleep_is_memory;
    /* CPU */
    bool has_smep, has_smap, has_umip, has_rdrand, has_rdseed, has_avx, has_xsaveopt, has_1g_pages,
        has_rdtscp, has_x2apic;
    bool meltdown_possible;
    uint8_t physical_address_bits;
    /* time */
    uint64_t lapic_timer_hz; /* after the divider in use */
    const char *tsc_source;  /* "pvclock", "cpuid", "pit", "lapic" */
    /* start */
    const char *loader; /* "pvh" or "multiboot2" */
    /* image payload, validated header; 0: none */
    uint64_t image_physical, image_bytes;
    /* those that posix/ is told; what the cell's plan decides comes later (isolation/cell.c) */
    struct gate_info info;
};

extern struct facts shared_facts;

#define FACTS_EACH 255u /* each core sees one of its own there */
static inline bool facts_device_is_of(uint32_t page, uint32_t core)
{
    return shared_facts.device_owners[page] == core ||
           shared_facts.device_owners[page] == FACTS_EACH;
}

#endif
