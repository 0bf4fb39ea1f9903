/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_convert.h"

#define NS_PER_SECOND 1000000000ull
#define RTC_BINARY 4u /* register 0x0b: values are binary, not BCD */
#define RTC_24_HOURS 2u
#define RTC_PM 0x80u /* in the hour, in 12-hour mode */

static uint64_t accepted(unsigned __int128 hz)
{
    return hz >= CLOCK_HZ_MIN && hz <= CLOCK_HZ_MAX ? (uint64_t)hz : 0;
}

uint64_t clock_multiplier(uint64_t hz)
{
    ASSERT(hz >= CLOCK_HZ_MIN && hz <= CLOCK_HZ_MAX);
    /* 1e9 * 2^32 fits 64 bits. */
    return (NS_PER_SECOND << 32) / hz;
}

/* @impl ATL-LLR-BOOT-0017~1 */
uint64_t clock_hz_from_scale(uint32_t scale, int8_t shift)
{
    if (scale == 0 || shift < -32 || shift > 32) {
        return 0;
    }
    unsigned __int128 hz = (NS_PER_SECOND << 32) / scale;
    return accepted(shift < 0 ? hz << -shift : hz >> shift);
}

uint64_t clock_hz_from_ratio(uint64_t ticks, uint64_t reference_ticks, uint64_t reference_hz)
{
    /* Bounds keep the product in 64 bits: 2^34 ticks is more than 100 ms of any TSC. */
    if (reference_ticks == 0 || ticks >> 34 != 0 || reference_hz >> 30 != 0) {
        return 0;
    }
    return accepted(ticks * reference_hz / reference_ticks);
}

static bool bcd(uint8_t *value)
{
    uint8_t high = *value >> 4, low = *value & 15;
    *value = (uint8_t)(high * 10 + low);
    return high <= 9 && low <= 9;
}

static bool from_bcd(struct clock_rtc *t)
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
enum result clock_rtc_decode(const struct clock_rtc *rtc, uint64_t *seconds)
{
    struct clock_rtc t = *rtc;
    bool has_halves = (t.status_b & RTC_24_HOURS) == 0;
    uint8_t pm = has_halves ? t.hour & RTC_PM : 0;
    t.hour ^= pm;
    if (((t.status_b & RTC_BINARY) == 0 && !from_bcd(&t)) ||
        (has_halves && (t.hour < 1 || t.hour > 12))) {
        return RESULT_INVALID;
    }
    if (has_halves) {
        t.hour = (uint8_t)(t.hour % 12 + (pm != 0 ? 12 : 0));
    }
    if (t.second > 59 || t.minute > 59 || t.hour > 23 || t.day < 1 || t.day > 31 || t.month < 1 ||
        t.month > 12 || t.year > 99) {
        return RESULT_INVALID;
    }
    uint32_t year = t.year < 70 ? 2000u + t.year : 1900u + t.year;
    *seconds =
        ((days_since_1970(year, t.month, t.day) * 24 + t.hour) * 60 + t.minute) * 60 + t.second;
    return RESULT_OK;
}
