/* SPDX-License-Identifier: Apache-2.0 */
/* Which cores there are and where interrupts go: MADT, or MP table. */
#include "bytes.h"
#include "tables.h"

#include <cpu/string.h>

#define MADT_ENTRIES 44u /* header, APIC address, flags */
#define MADT_LAPIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_X2APIC 9u
#define MADT_ENABLED 1u
#define APIC_ID_ALL 0xffffffffu
#define APIC_ID_ALL_OLD 0xffu

/* MPS INTI flags: polarity and trigger; "as the bus does" is high and edge on ISA. */
#define INTI_POLARITY 3u
#define INTI_ACTIVE_LOW 3u
#define INTI_TRIGGER 0xcu
#define INTI_LEVEL 0xcu

#define MP_PROCESSOR 0u
#define MP_IOAPIC 2u
#define MP_INTERRUPT 3u
#define MP_LAST_TYPE 4u
#define MP_PROCESSOR_BYTES 20u
#define MP_OTHER_BYTES 8u
#define MP_ENABLED 1u

/* Unless it is there. */
static void add_core(struct facts *facts, uint32_t apic_id)
{
    for (uint32_t i = 0; i < facts->core_count; i++) {
        if (facts->apic_id[i] == apic_id) {
            return;
        }
    }
    if (facts->core_count < CORE_COUNT_MAX) {
        facts->apic_id[facts->core_count++] = apic_id;
    }
}

static void add_ioapic(struct facts *facts, uint64_t physical, uint32_t gsi_base)
{
    if (facts->ioapic_count < FACTS_IOAPICS_MAX) {
        facts->ioapics[facts->ioapic_count++] =
            (struct facts_ioapic){.physical = physical, .gsi_base = gsi_base};
    }
}

static void set_uart(struct facts *facts, uint32_t gsi, uint16_t flags)
{
    facts->uart = (struct facts_interrupt){gsi, (flags & INTI_TRIGGER) == INTI_LEVEL,
                                           (flags & INTI_POLARITY) == INTI_ACTIVE_LOW};
}

void machine_cores_start(uint32_t boot_apic_id, struct facts *facts)
{
    facts->core_count = 1;
    facts->apic_id[0] = boot_apic_id;
    facts->ioapic_count = 0;
    set_uart(facts, TABLES_UART_IRQ, 0);
}

static void madt_entry(const uint8_t *entry, struct facts *facts)
{
    if (entry[0] == MADT_LAPIC) {
        if ((bytes_u32(entry + 4) & MADT_ENABLED) != 0 && entry[3] != APIC_ID_ALL_OLD) {
            add_core(facts, entry[3]);
        }
    } else if (entry[0] == MADT_X2APIC) {
        if ((bytes_u32(entry + 8) & MADT_ENABLED) != 0 && bytes_u32(entry + 4) != APIC_ID_ALL) {
            add_core(facts, bytes_u32(entry + 4));
        }
    } else if (entry[0] == MADT_IOAPIC) {
        add_ioapic(facts, bytes_u32(entry + 4), bytes_u32(entry + 8));
    } else if (entry[0] == MADT_OVERRIDE && entry[2] == 0 && entry[3] == TABLES_UART_IRQ) {
        set_uart(facts, bytes_u32(entry + 4), bytes_u16(entry + 8));
    }
}

/* @impl ATL-LLR-BOOT-0008~1 */
enum result acpi_parse_madt(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                            struct facts *facts)
{
    static const uint8_t bytes_min[] = {
        [MADT_LAPIC] = 8, [MADT_IOAPIC] = 12, [MADT_OVERRIDE] = 10, [MADT_X2APIC] = 16};
    machine_cores_start(boot_apic_id, facts);
    if (bytes < MADT_ENTRIES) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MADT_ENTRIES; at < bytes; at += table[at + 1]) {
        if (bytes - at < 2 || table[at + 1] < 2 || table[at + 1] > bytes - at ||
            (table[at] < ARRAY_COUNT(bytes_min) && table[at + 1] < bytes_min[table[at]])) {
            return RESULT_FORMAT;
        }
        madt_entry(table + at, facts);
    }
    return RESULT_OK;
}

uint64_t mp_parse_pointer(const uint8_t *bytes)
{
    bool is_good =
        memcmp(bytes, "_MP_", 4) == 0 && bytes[8] == 1 && bytes_sum(bytes, MP_POINTER_BYTES) == 0;
    return is_good ? bytes_u32(bytes + 4) : 0;
}

static void mp_entry(const uint8_t *entry, struct facts *facts)
{
    if (entry[0] == MP_PROCESSOR && (entry[3] & MP_ENABLED) != 0) {
        add_core(facts, entry[1]);
    } else if (entry[0] == MP_IOAPIC && (entry[3] & MP_ENABLED) != 0) {
        add_ioapic(facts, bytes_u32(entry + 4), 0);
    } else if (entry[0] == MP_INTERRUPT && entry[1] == 0 && entry[5] == TABLES_UART_IRQ) {
        /* Vectored, from the bus interrupt of the serial port; ISA is bus 0 or 1, PCI interrupts
         * are never below 16 there. */
        set_uart(facts, entry[7], bytes_u16(entry + 2));
    }
}

/* @impl ATL-LLR-BOOT-0009~1 */
enum result mp_parse_table(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                           struct facts *facts)
{
    machine_cores_start(boot_apic_id, facts);
    if (bytes < MP_HEADER_BYTES || memcmp(table, "PCMP", 4) != 0 || bytes_sum(table, bytes) != 0) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MP_HEADER_BYTES; at < bytes;) {
        uint32_t length = table[at] == MP_PROCESSOR ? MP_PROCESSOR_BYTES : MP_OTHER_BYTES;
        if (table[at] > MP_LAST_TYPE || length > bytes - at) {
            return RESULT_FORMAT;
        }
        mp_entry(table + at, facts);
        at += length;
    }
    return RESULT_OK;
}
