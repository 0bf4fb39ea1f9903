/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of battery clocks in all formats, against the host's calendar. */
#include "check.h"

#include <posix/errno.h>
#include <time.h>
#include <time/battery_clock.h>

struct registers {
    uint8_t values[GATE_CLOCK_REGISTERS];
};

static uint64_t decode(struct registers registers)
{
    uint64_t seconds = 0;
    CHECK_EQUAL(battery_clock_decode(registers.values, &seconds), 0);
    return seconds;
}

/* @verifies ATL-LLR-BOOT-0018~1 */
TEST(rtc_formats_give_the_same_date)
{
    const uint64_t wanted = 1709251199; /* 2024-02-29 23:59:59 */
    CHECK_EQUAL(decode((struct registers){{59, 59, 23, 29, 2, 24, 6}}), wanted);
    CHECK_EQUAL(decode((struct registers){{0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 2}}), wanted);
    CHECK_EQUAL(decode((struct registers){{0x59, 0x59, 0x91, 0x29, 0x02, 0x24, 0}}), wanted);
    CHECK_EQUAL(decode((struct registers){{59, 59, 0x80 | 11, 29, 2, 24, 4}}), wanted);
    CHECK_EQUAL(decode((struct registers){{0, 0, 12, 1, 1, 70, 4}}), 0); /* midnight */
    CHECK_EQUAL(decode((struct registers){{0, 0, 0x80 | 12, 1, 1, 70, 4}}), 12 * 3600);
}

/* @verifies ATL-LLR-BOOT-0018~1 */
TEST(rtc_dates_agree_with_the_host_for_a_century)
{
    for (time_t at = 0; at < 3155673600; at += 86400 * 3 + 12345) {
        struct tm tm;
        gmtime_r(&at, &tm);
        struct registers rtc = {{(uint8_t)tm.tm_sec, (uint8_t)tm.tm_min, (uint8_t)tm.tm_hour,
                                 (uint8_t)tm.tm_mday, (uint8_t)(tm.tm_mon + 1),
                                 (uint8_t)(tm.tm_year % 100), 6}};
        CHECK_EQUAL(decode(rtc), at);
    }
}

/* @verifies ATL-LLR-BOOT-0018~1 @robust */
TEST(rtc_nonsense_is_refused)
{
    const uint8_t wrong[][GATE_CLOCK_REGISTERS] = {
        {60, 0, 0, 1, 1, 20, 6},
        {0, 60, 0, 1, 1, 20, 6},
        {0, 0, 24, 1, 1, 20, 6},
        {0, 0, 0, 0, 1, 20, 6},
        {0, 0, 0, 32, 1, 20, 6},
        {0, 0, 0, 1, 0, 20, 6},
        {0, 0, 0, 1, 13, 20, 6},
        {0, 0, 0, 1, 1, 100, 6},
        {0x0a, 0, 0, 1, 1, 0x20, 2},
        {0xa0, 0, 0, 1, 1, 0x20, 2},
        {0, 0, 13, 1, 1, 20, 4},
        {0, 0, 0, 1, 1, 20, 4},
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
    };
    uint64_t seconds;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQUAL(battery_clock_decode(wrong[i], &seconds), -EINVAL);
    }
}

CHECK_MAIN()
