/* SPDX-License-Identifier: Apache-2.0 */
/* The I/O APIC that serves the legacy devices: 82093AA, "IOAPIC registers". Core 0, own root. */
#ifndef KERNEL_DRIVER_IOAPIC_H
#define KERNEL_DRIVER_IOAPIC_H

#include <percpu/base.h>

/* Sends the serial port's interrupt to core 0 from now on.
 * Errors: RESULT_INVALID there is no I/O APIC, or it has no such input, or core 0's APIC id is not
 *         one that it can address */
enum result ioapic_route_uart(uint8_t vector);

#endif
