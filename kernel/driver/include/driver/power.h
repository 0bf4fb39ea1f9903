/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVER_POWER_H
#define DRIVER_POWER_H

#include <stdnoreturn.h>

/* Turns the machine off: ACPI soft-off where it is known, else a reset (which ends QEMU under
 * -no-reboot). The console ends first. Any core and state. */
noreturn void power_off(void);

#endif
