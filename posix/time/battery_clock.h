/* SPDX-License-Identifier: Apache-2.0 */
/* What the registers of a battery clock (MC146818) mean. Pure. */
#ifndef POSIX_TIME_BATTERY_CLOCK_H
#define POSIX_TIME_BATTERY_CLOCK_H

#include <isolation/gate_abi.h>
#include <stdint.h>

/* Seconds since 1970; years are 1970..2069. @registers as in struct gate_info. -EINVAL: no date. */
int64_t battery_clock_decode(const uint8_t registers[static GATE_CLOCK_REGISTERS],
                             uint64_t *seconds);

#endif
