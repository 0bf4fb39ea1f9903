/* SPDX-License-Identifier: Apache-2.0 */
#include "battery_clock.h"

#include <posix/errno.h>
#include <stdbool.h>

#define FORMAT_BINARY 4u /* values are binary, not BCD */
#define FORMAT_24_HOURS 2u
#define HOUR_PM 0x80u /* in 12-hour mode */

struct reading {
    uint8_t second, minute, hour, day, month, year;
};

static bool bcd(uint8_t *value)
{
    uint8_t high = *value >> 4, low = *value & 15;
    *value = (uint8_t)(high * 10 + low);
    return high <= 9 && low <= 9;
}

static bool from_bcd(struct reading *t)
{
    return bcd(&t->second) && bcd(&t->minute) && bcd(&t->hour) && bcd(&t->day) && bcd(&t->month) &&
           bcd(&t->year);
}

/* Days since 1970 of a date in the proleptic Gregorian calendar: counts years from March, so that
 * the leap day is the last of its year. */
static uint64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t y = month <= 2 ? year - 1 : year;
    uint32_t m = month <= 2 ? month + 9 : month - 3;
    uint64_t days = 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    return days - 719468;
}

/* @impl ATL-LLR-BOOT-0018~1 */
int64_t battery_clock_decode(const uint8_t registers[static GATE_CLOCK_REGISTERS],
                             uint64_t *seconds)
{
    struct reading t = {registers[0], registers[1], registers[2],
                        registers[3], registers[4], registers[5]};
    uint8_t format = registers[6];
    bool has_halves = (format & FORMAT_24_HOURS) == 0;
    uint8_t pm = has_halves ? t.hour & HOUR_PM : 0;
    t.hour ^= pm;
    if (((format & FORMAT_BINARY) == 0 && !from_bcd(&t)) ||
        (has_halves && (t.hour < 1 || t.hour > 12))) {
        return -EINVAL;
    }
    if (has_halves) {
        t.hour = (uint8_t)(t.hour % 12 + (pm != 0 ? 12 : 0));
    }
    if (t.second > 59 || t.minute > 59 || t.hour > 23 || t.day < 1 || t.day > 31 || t.month < 1 ||
        t.month > 12 || t.year > 99) {
        return -EINVAL;
    }
    uint32_t year = t.year < 70 ? 2000u + t.year : 1900u + t.year;
    *seconds =
        ((days_since_1970(year, t.month, t.day) * 24 + t.hour) * 60 + t.minute) * 60 + t.second;
    return 0;
}
