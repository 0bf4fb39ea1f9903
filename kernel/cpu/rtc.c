/* SPDX-License-Identifier: Apache-2.0 */
/* The battery clock: MC146818, ports 0x70 and 0x71. */
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

static struct clock_rtc read_all(void)
{
    uint32_t polls = 0;
    while ((read_register(0x0a) & RTC_UPDATING) != 0 && polls < RTC_POLLS_MAX) {
        polls++;
    }
    return (struct clock_rtc){
        .second = read_register(0),
        .minute = read_register(2),
        .hour = read_register(4),
        .day = read_register(7),
        .month = read_register(8),
        .year = read_register(9),
        .status_b = read_register(0x0b),
    };
}

/* Two equal readings: an update in the middle of one would show. */
uint64_t rtc_seconds(void)
{
    uint64_t seconds = 0;
    enum result result = RESULT_AGAIN;
    for (uint32_t i = 0; i < RTC_TRIES && result == RESULT_AGAIN; i++) {
        struct clock_rtc first = read_all(), second = read_all();
        if (memcmp(&first, &second, sizeof(first)) == 0) {
            result = clock_rtc_decode(&first, &seconds);
        }
    }
    cpu_out8(RTC_INDEX, 0); /* NMI on again */
    return result == RESULT_OK ? seconds : 0;
}
