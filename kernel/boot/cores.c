/* SPDX-License-Identifier: Apache-2.0 */
/* Which cores there are and where interrupts go: MADT, or MP table. */
#include "bytes.h"
#include "tables.h"

#define MADT_ENTRIES 44u /* header, APIC address, flags */
#define MADT_LAPIC 0u
#define MADT_IOAPIC 1u
#define MADT_OVERRIDE 2u
#define MADT_X2APIC 9u
#define MADT_ENABLED 1u
#define APIC_ID_ALL 0xffffffffu

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
#define MP_TABLE_BYTES_MAX 8192u

void machine_cores_start(struct machine_cores *cores, uint32_t boot_apic_id, uint32_t uart_irq)
{
    *cores = (struct machine_cores){.uart_gsi = uart_irq};
    cores->apic_id[0] = boot_apic_id;
    cores->count = 1;
    cores->enabled_count = 1;
}

void machine_cores_add(struct machine_cores *cores, uint32_t apic_id)
{
    for (uint32_t i = 0; i < cores->count; i++) {
        if (cores->apic_id[i] == apic_id) {
            return;
        }
    }
    cores->enabled_count++;
    if (cores->count < CORE_COUNT_MAX) {
        cores->apic_id[cores->count++] = apic_id;
    }
}

/* The I/O APIC with the lowest interrupts is the one that serves the legacy devices. */
static void add_ioapic(struct machine_cores *cores, uint64_t physical, uint32_t gsi_base)
{
    bool is_first = cores->ioapic_physical == 0;
    if (physical != 0 && (is_first || gsi_base < cores->ioapic_gsi_base)) {
        cores->ioapic_physical = physical;
        cores->ioapic_gsi_base = gsi_base;
    }
}

static void set_uart(struct machine_cores *cores, uint32_t gsi, uint16_t flags)
{
    cores->uart_gsi = gsi;
    cores->uart_active_low = (flags & INTI_POLARITY) == INTI_ACTIVE_LOW;
    cores->uart_level = (flags & INTI_TRIGGER) == INTI_LEVEL;
}

static bool madt_entry_fits(uint8_t type, uint8_t length)
{
    switch (type) {
    case MADT_LAPIC:
        return length >= 8;
    case MADT_IOAPIC:
        return length >= 12;
    case MADT_OVERRIDE:
        return length >= 10;
    case MADT_X2APIC:
        return length >= 16;
    default:
        return true;
    }
}

static void madt_entry(const uint8_t *entry, uint32_t uart_irq, struct machine_cores *cores)
{
    switch (entry[0]) {
    case MADT_LAPIC:
        if ((bytes_u32(entry + 4) & MADT_ENABLED) != 0 && entry[3] != 0xff) {
            machine_cores_add(cores, entry[3]);
        }
        break;
    case MADT_X2APIC:
        if ((bytes_u32(entry + 8) & MADT_ENABLED) != 0 && bytes_u32(entry + 4) != APIC_ID_ALL) {
            machine_cores_add(cores, bytes_u32(entry + 4));
        }
        break;
    case MADT_IOAPIC:
        add_ioapic(cores, bytes_u32(entry + 4), bytes_u32(entry + 8));
        break;
    case MADT_OVERRIDE:
        if (entry[2] == 0 && entry[3] == uart_irq) {
            set_uart(cores, bytes_u32(entry + 4), bytes_u16(entry + 8));
        }
        break;
    default:
        break;
    }
}

/* @impl ATL-LLR-BOOT-0008~1 */
enum result acpi_parse_madt(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                            uint32_t uart_irq, struct machine_cores *cores)
{
    machine_cores_start(cores, boot_apic_id, uart_irq);
    if (bytes < MADT_ENTRIES) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MADT_ENTRIES; at < bytes;) {
        if (bytes - at < 2) {
            return RESULT_FORMAT;
        }
        uint8_t type = table[at], length = table[at + 1];
        if (length < 2 || length > bytes - at || !madt_entry_fits(type, length)) {
            return RESULT_FORMAT;
        }
        madt_entry(table + at, uart_irq, cores);
        at += length;
    }
    return RESULT_OK;
}

static bool equal4(const uint8_t *bytes, const char *text)
{
    return bytes[0] == (uint8_t)text[0] && bytes[1] == (uint8_t)text[1] &&
           bytes[2] == (uint8_t)text[2] && bytes[3] == (uint8_t)text[3];
}

enum result mp_parse_pointer(const uint8_t *bytes, uint64_t *physical)
{
    *physical = bytes_u32(bytes + 4);
    if (!equal4(bytes, "_MP_") || bytes[8] != 1 || bytes_sum(bytes, MP_POINTER_BYTES) != 0 ||
        *physical == 0) {
        return RESULT_FORMAT;
    }
    return RESULT_OK;
}

enum result mp_parse_header(const uint8_t *header, uint32_t *bytes)
{
    *bytes = bytes_u16(header + 4);
    return !equal4(header, "PCMP") || *bytes < MP_HEADER_BYTES || *bytes > MP_TABLE_BYTES_MAX
               ? RESULT_FORMAT
               : RESULT_OK;
}

static void mp_entry(const uint8_t *entry, uint32_t uart_irq, struct machine_cores *cores)
{
    switch (entry[0]) {
    case MP_PROCESSOR:
        if ((entry[3] & MP_ENABLED) != 0) {
            machine_cores_add(cores, entry[1]);
        }
        break;
    case MP_IOAPIC:
        if ((entry[3] & MP_ENABLED) != 0) {
            add_ioapic(cores, bytes_u32(entry + 4), 0);
        }
        break;
    case MP_INTERRUPT:
        /* Vectored (type 0), from the bus interrupt of the serial port; ISA is bus 0 or 1, PCI
         * interrupts are never below 16 there. */
        if (entry[1] == 0 && entry[5] == uart_irq) {
            set_uart(cores, entry[7], bytes_u16(entry + 2));
        }
        break;
    default:
        break;
    }
}

/* @impl ATL-LLR-BOOT-0009~1 */
enum result mp_parse_table(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                           uint32_t uart_irq, struct machine_cores *cores)
{
    machine_cores_start(cores, boot_apic_id, uart_irq);
    if (bytes < MP_HEADER_BYTES || bytes_sum(table, bytes) != 0) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MP_HEADER_BYTES; at < bytes;) {
        uint32_t length = table[at] == MP_PROCESSOR ? MP_PROCESSOR_BYTES : MP_OTHER_BYTES;
        if (table[at] > MP_LAST_TYPE || length > bytes - at) {
            return RESULT_FORMAT;
        }
        mp_entry(table + at, uart_irq, cores);
        at += length;
    }
    return RESULT_OK;
}
