/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVER_POWER_H
#define DRIVER_POWER_H

#include <stdbool.h>
#include <stdnoreturn.h>

/* Turns the machine off: as Xen or ACPI has it where they are known, else a reset (which ends QEMU
 * under -no-reboot). The console ends first. Any core and state.
 *
 * @has_failed  the program or the kernel: only Xen makes a difference, its on_crash */
noreturn void power_off(bool has_failed);
/* The same of a domain of Xen; returns elsewhere. */
void power_off_xen(bool has_failed);

#endif
