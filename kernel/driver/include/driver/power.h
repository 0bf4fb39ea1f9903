/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVER_POWER_H
#define DRIVER_POWER_H

#include <stdnoreturn.h>

/* Turns the machine off: as Xen or ACPI has it where they are known, else a reset (which ends QEMU
 * under -no-reboot). The console ends first. Any core and state. */
noreturn void power_off(void);
/* The same of a domain of Xen; returns elsewhere. */
void power_off_xen(void);

#endif
