/* SPDX-License-Identifier: Apache-2.0 */
/* Device registers: whole pages behind LAYOUT_DEVICE_BASE, all but the local APIC's owned by core
 * 0, or by the core that facts.device_owners says.
 *
 * Error policy: an address that cannot be a device's is refused. */
#ifndef DRIVER_DEVICE_H
#define DRIVER_DEVICE_H

#include <kernel/facts.h>

#define DEVICE_BYTES_MAX (130 * PAGE_BYTES)

/* False: RAM, the image or what lies below it, or beyond the processor's addresses.
 * @bytes  1..FACTS_NEIGHBOUR_BYTES. Boot core, memory collected */
bool device_may_be_at(uint64_t physical, uint64_t bytes);

/* Has core 0's tables show device registers: the validator of addresses that firmware and devices
 * tell. Returns where core 0 will see them on its own root; 0: refused: RAM, or nowhere, or too
 * many.
 *
 * Context:  boot core, memory collected, before memory_regions_build. @bytes at most
 * DEVICE_BYTES_MAX, else refused */
uint64_t device_show(uint64_t physical, uint64_t bytes);

/* One access of 1, 2 or 4 bytes. @address of registers that the tables in use show; aligned */
static inline uint32_t device_read(uint64_t address, uint32_t bytes)
{
    return bytes == 1   ? *(volatile uint8_t *)address
           : bytes == 2 ? *(volatile uint16_t *)address
                        : *(volatile uint32_t *)address;
}

static inline void device_write(uint64_t address, uint32_t bytes, uint32_t value)
{
    if (bytes == 1) {
        *(volatile uint8_t *)address = (uint8_t)value;
    } else if (bytes == 2) {
        *(volatile uint16_t *)address = (uint16_t)value;
    } else {
        *(volatile uint32_t *)address = value;
    }
}

/* Has core 0's tables show the I/O APICs. As device_show. */
void ioapic_discover(void);
/* Sends an interrupt to core 0 from now on. Core 0, own root.
 * Errors: RESULT_INVALID no I/O APIC has that input, or core 0's APIC id is not one that it can
 *         address */
enum result ioapic_route(const struct facts_interrupt *interrupt, uint8_t vector);

#endif
