/* SPDX-License-Identifier: Apache-2.0 */
/* Frequencies and dates from what clocks say. */
#include <check.h>
#include <clock_convert.h>
#include <time.h>

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

static uint64_t to_ns(uint64_t ticks, uint64_t multiplier)
{
    return (uint64_t)(((unsigned __int128)ticks * multiplier) >> 32);
}

/* @verifies ATL-LLR-BOOT-0017~1 */
TEST(multipliers_turn_ticks_into_nanoseconds)
{
    const uint64_t rates[] = {CLOCK_HZ_MIN, 1000000000, 2596103122, 5000000000, CLOCK_HZ_MAX};
    for (size_t i = 0; i < 5; i++) {
        uint64_t day = to_ns(rates[i] * 86400, clock_multiplier(rates[i]));
        /* Truncation of the multiplier: less than 1 part in 2^25 for any rate. */
        CHECK(day <= 86400000000000 && day > 86400000000000 - (86400000000000 >> 25));
    }
    CHECK_ABORTS(clock_multiplier(CLOCK_HZ_MIN - 1));
    CHECK_ABORTS(clock_multiplier(CLOCK_HZ_MAX + 1));
}

/* @verifies ATL-LLR-BOOT-0017~1 */
TEST(paravirtual_scales_become_frequencies)
{
    CHECK_EQUAL(clock_hz_from_scale(0x80000000, 1), 1000000000);
    CHECK_EQUAL(clock_hz_from_scale(0x80000000, 0), 2000000000);
    CHECK_EQUAL(clock_hz_from_scale(0x80000000, -1), 4000000000);
    uint64_t hz = clock_hz_from_scale(3579139413u, -1); /* 2.4 GHz as KVM writes it */
    CHECK(hz > 2399999000 && hz < 2400001000);
}

/* @verifies ATL-LLR-BOOT-0017~1 @robust */
TEST(impossible_frequencies_are_refused)
{
    CHECK_EQUAL(clock_hz_from_scale(0, 0), 0);
    CHECK_EQUAL(clock_hz_from_scale(1, 33), 0);
    CHECK_EQUAL(clock_hz_from_scale(1, -33), 0);
    CHECK_EQUAL(clock_hz_from_scale(1, 0), 0);
    CHECK_EQUAL(clock_hz_from_scale(0xffffffff, 32), 0);
    CHECK_EQUAL(clock_hz_from_ratio(1, 0, 24000000), 0);
    CHECK_EQUAL(clock_hz_from_ratio(0, 2, 24000000), 0);
    CHECK_EQUAL(clock_hz_from_ratio(250, 2, 0), 0);
    CHECK_EQUAL(clock_hz_from_ratio(250, 2, 24000000), 3000000000);
    CHECK_EQUAL(clock_hz_from_ratio(1, 0, 1000), 0);
    CHECK_EQUAL(clock_hz_from_ratio(1ull << 34, 1, 1000), 0);
    CHECK_EQUAL(clock_hz_from_ratio(1, 1, 1ull << 30), 0);
    CHECK_EQUAL(clock_hz_from_ratio(5192206, 2000000, 1000000000), 2596103000);
    CHECK_EQUAL(clock_hz_from_ratio(0, 2000000, 1000000000), 0);
}

static uint64_t decode(struct clock_rtc rtc)
{
    uint64_t seconds = 0;
    CHECK_EQUAL(clock_rtc_decode(&rtc, &seconds), RESULT_OK);
    return seconds;
}

/* @verifies ATL-LLR-BOOT-0018~1 */
TEST(rtc_formats_give_the_same_date)
{
    const uint64_t wanted = 1709251199; /* 2024-02-29 23:59:59 */
    CHECK_EQUAL(decode((struct clock_rtc){59, 59, 23, 29, 2, 24, 6}), wanted);
    CHECK_EQUAL(decode((struct clock_rtc){0x59, 0x59, 0x23, 0x29, 0x02, 0x24, 2}), wanted);
    CHECK_EQUAL(decode((struct clock_rtc){0x59, 0x59, 0x91, 0x29, 0x02, 0x24, 0}), wanted);
    CHECK_EQUAL(decode((struct clock_rtc){59, 59, 0x80 | 11, 29, 2, 24, 4}), wanted);
    CHECK_EQUAL(decode((struct clock_rtc){0, 0, 12, 1, 1, 70, 4}), 0); /* midnight */
    CHECK_EQUAL(decode((struct clock_rtc){0, 0, 0x80 | 12, 1, 1, 70, 4}), 12 * 3600);
}

/* @verifies ATL-LLR-BOOT-0018~1 */
TEST(rtc_dates_agree_with_the_host_for_a_century)
{
    for (time_t at = 0; at < 3155673600; at += 86400 * 3 + 12345) {
        struct tm tm;
        gmtime_r(&at, &tm);
        struct clock_rtc rtc = {(uint8_t)tm.tm_sec,
                                (uint8_t)tm.tm_min,
                                (uint8_t)tm.tm_hour,
                                (uint8_t)tm.tm_mday,
                                (uint8_t)(tm.tm_mon + 1),
                                (uint8_t)(tm.tm_year % 100),
                                6};
        CHECK_EQUAL(decode(rtc), at);
    }
}

/* @verifies ATL-LLR-BOOT-0018~1 @robust */
TEST(rtc_nonsense_is_refused)
{
    const struct clock_rtc wrong[] = {
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
        CHECK_EQUAL(clock_rtc_decode(&wrong[i], &seconds), RESULT_INVALID);
    }
}

CHECK_MAIN()
