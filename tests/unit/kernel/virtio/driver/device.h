/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of kernel/driver's: registers of a simulated device (fake.c). */
#ifndef DRIVER_DEVICE_H
#define DRIVER_DEVICE_H

#include <kernel/facts.h>

#define DEVICE_BYTES_MAX (8 * PAGE_BYTES)

uint32_t device_read(uint64_t address, uint32_t bytes);
void device_write(uint64_t address, uint32_t bytes, uint32_t value);
enum result ioapic_route(const struct facts_interrupt *interrupt, uint8_t vector);

#endif
