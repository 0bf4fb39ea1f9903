/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC that serves the legacy devices: 82093AA, "IOAPIC registers". */
#include "uart.h"

#include <kernel/facts.h>
#include <kernel/layout.h>

#define SELECT_OFFSET 0x00u
#define WINDOW_OFFSET 0x10u
#define REGISTER_VERSION 1u
#define REGISTER_REDIRECTION 0x10u
#define REDIRECTION_ACTIVE_LOW (1u << 13)
#define REDIRECTION_LEVEL (1u << 15)
#define DESTINATION_SHIFT 24
#define DESTINATION_MAX 0xfeu

static volatile uint32_t *at(uint64_t offset)
{
    return (volatile uint32_t *)(LAYOUT_DEVICE_BASE + LAYOUT_DEVICE_IOAPIC * PAGE_BYTES +
                                 (shared_facts.ioapic_physical & (PAGE_BYTES - 1)) + offset);
}

static uint32_t read_register(uint32_t index)
{
    *at(SELECT_OFFSET) = index;
    return *at(WINDOW_OFFSET);
}

static void write_register(uint32_t index, uint32_t value)
{
    *at(SELECT_OFFSET) = index;
    *at(WINDOW_OFFSET) = value;
}

enum result ioapic_route_uart(uint32_t gsi, uint8_t vector)
{
    const struct facts *facts = &shared_facts;
    uint32_t input = gsi - facts->ioapic_gsi_base;
    if (facts->ioapic_physical == 0 || gsi < facts->ioapic_gsi_base ||
        facts->apic_id[0] > DESTINATION_MAX ||
        input > ((read_register(REGISTER_VERSION) >> 16) & 0xffu)) {
        return RESULT_INVALID;
    }
    uint32_t index = REGISTER_REDIRECTION + 2 * input;
    write_register(index + 1, facts->apic_id[0] << DESTINATION_SHIFT);
    write_register(index, vector | (facts->uart_active_low ? REDIRECTION_ACTIVE_LOW : 0) |
                              (facts->uart_level ? REDIRECTION_LEVEL : 0));
    return RESULT_OK;
}
