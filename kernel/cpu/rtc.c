/* SPDX-License-Identifier: Apache-2.0 */
/* The battery clock: MC146818, ports 0x70 and 0x71. What its registers mean is posix/'s business.
 */
#include "clock_convert.h"

#include <cpu/instructions.h>
#include <cpu/string.h>

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_UPDATING 0x80u /* register 0x0a */
#define RTC_TRIES 8u
#define RTC_POLLS_MAX 10000u

static uint8_t read_register(uint8_t index)
{
    cpu_out8(RTC_INDEX, (uint8_t)(index | 0x80u)); /* NMI stays off meanwhile */
    return cpu_in8(RTC_DATA);
}

static void read_all(uint8_t values[static GATE_CLOCK_REGISTERS])
{
    static const uint8_t registers[GATE_CLOCK_REGISTERS] = {0, 2, 4, 7, 8, 9, 0x0b};
    uint32_t polls = 0;
    while ((read_register(0x0a) & RTC_UPDATING) != 0 && polls < RTC_POLLS_MAX) {
        polls++;
    }
    for (uint32_t i = 0; i < GATE_CLOCK_REGISTERS; i++) {
        values[i] = read_register(registers[i]);
    }
}

/* Two equal readings: an update in the middle of one would show. */
void rtc_read(uint8_t values[static GATE_CLOCK_REGISTERS])
{
    uint8_t again[GATE_CLOCK_REGISTERS];
    bool is_equal = false;
    for (uint32_t i = 0; i < RTC_TRIES && !is_equal; i++) {
        read_all(values);
        read_all(again);
        is_equal = memcmp(values, again, sizeof(again)) == 0;
    }
    if (!is_equal) {
        memset(values, UINT8_MAX, sizeof(again));
    }
    cpu_out8(RTC_INDEX, 0); /* NMI on again */
}
