/* SPDX-License-Identifier: Apache-2.0 */
/* Frequencies from what clocks say. */
#include <check.h>
#include <clock_convert.h>

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

CHECK_MAIN()
