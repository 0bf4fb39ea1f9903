/* SPDX-License-Identifier: Apache-2.0 */
/* I/O APICs: 82093AA, "IOAPIC registers". */
#include <driver/device.h>

#define SELECT_OFFSET 0x00u
#define WINDOW_OFFSET 0x10u
#define REGISTERS_BYTES 0x20u
#define REGISTER_VERSION 1u
#define REGISTER_REDIRECTION 0x10u
#define REDIRECTION_ACTIVE_LOW (1u << 13)
#define REDIRECTION_LEVEL (1u << 15)
#define DESTINATION_SHIFT 24
#define DESTINATION_MAX 0xfeu

static uint32_t read_register(const struct facts_ioapic *ioapic, uint32_t index)
{
    device_write(ioapic->registers + SELECT_OFFSET, 4, index);
    return device_read(ioapic->registers + WINDOW_OFFSET, 4);
}

static void write_register(const struct facts_ioapic *ioapic, uint32_t index, uint32_t value)
{
    device_write(ioapic->registers + SELECT_OFFSET, 4, index);
    device_write(ioapic->registers + WINDOW_OFFSET, 4, value);
}

/* @impl ATL-LLR-VIRTIO-0003~1 */
void ioapic_discover(void)
{
    for (uint32_t i = 0; i < shared_facts.ioapic_count; i++) {
        struct facts_ioapic *ioapic = &shared_facts.ioapics[i];
        ioapic->registers = device_show(ioapic->physical, REGISTERS_BYTES);
    }
}

enum result ioapic_route(const struct facts_interrupt *interrupt, uint8_t vector)
{
    uint32_t apic_id = shared_facts.apic_id[0];
    for (uint32_t i = 0; i < shared_facts.ioapic_count && apic_id <= DESTINATION_MAX; i++) {
        const struct facts_ioapic *ioapic = &shared_facts.ioapics[i];
        uint32_t input = interrupt->gsi - ioapic->gsi_base; /* below its first one: very large */
        if (ioapic->registers != 0 &&
            input <= ((read_register(ioapic, REGISTER_VERSION) >> 16) & 0xffu)) {
            uint32_t index = REGISTER_REDIRECTION + 2 * input;
            write_register(ioapic, index + 1, apic_id << DESTINATION_SHIFT);
            write_register(ioapic, index,
                           vector | (interrupt->is_active_low ? REDIRECTION_ACTIVE_LOW : 0) |
                               (interrupt->is_level ? REDIRECTION_LEVEL : 0));
            return RESULT_OK;
        }
    }
    return RESULT_INVALID;
}
