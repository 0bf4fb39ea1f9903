/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <check.h>
#include <posix/posix.h>
#include <posix/syscalls.h>
#include <posix/time.h>

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

/* @verifies ATL-LLR-POSIX-0034~1 */
TEST(timespec_conversion_is_exact_and_saturates)
{
    struct posix_timespec time = {3, 999999999};
    CHECK_EQUAL(posix_timespec_to_ns(&time), 3999999999);
    struct posix_timespec back = posix_timespec_of_ns(3999999999);
    CHECK_EQUAL(back.seconds, 3);
    CHECK_EQUAL(back.nanoseconds, 999999999);
    time = (struct posix_timespec){INT64_MAX, 999999999};
    CHECK(posix_timespec_is_valid(&time));
    CHECK_EQUAL(posix_timespec_to_ns(&time), GATE_NEVER);
    CHECK_EQUAL(posix_deadline_after(GATE_NEVER), GATE_NEVER);
    CHECK_EQUAL(posix_deadline_of_realtime(GATE_NEVER), GATE_NEVER);
    CHECK_EQUAL(posix_deadline_of_realtime(5), 0);
    const struct posix_timespec bad[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {INT64_MIN, 0}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!posix_timespec_is_valid(&bad[i]));
    }
}

/* @verifies ATL-LLR-POSIX-0030~1 */
TEST(ticks_become_nanoseconds_without_overflow)
{
    uint64_t one_ghz = 1ull << 32;
    CHECK_EQUAL(posix_ticks_to_ns(12345, one_ghz), 12345);
    CHECK_EQUAL(posix_ticks_to_ns(1ull << 62, one_ghz), 1ull << 62);
    uint64_t three_ghz = (uint64_t)(((unsigned __int128)1000000000 << 32) / 3000000000u);
    uint64_t year_ticks = 3000000000ull * 86400 * 365;
    uint64_t error = 86400ull * 365 * 1000000000 - posix_ticks_to_ns(year_ticks, three_ghz);
    CHECK(error < 86400ull * 365 * 1000000000 / 1000000000 + 10000000000ull);
}

/* @verifies ATL-LLR-POSIX-0031~1 */
TEST(clocks_are_known_and_go_forward)
{
    struct posix_timespec first;
    struct posix_timespec second;
    for (uint64_t clock = 0; clock <= 11; clock++) {
        int64_t expected = clock == 10 ? -EINVAL : 0;
        CHECK_EQUAL(posix_clock_gettime(clock, at(&first)), expected);
        CHECK_EQUAL(posix_clock_getres(clock, 0), expected);
    }
    CHECK_EQUAL(posix_clock_gettime(12, at(&first)), -EINVAL);
    CHECK_EQUAL(posix_clock_gettime(1, UNMAPPED), -EFAULT);
    CHECK_EQUAL(posix_clock_gettime(1, at(&first)), 0);
    CHECK_EQUAL(posix_clock_gettime(1, at(&second)), 0);
    CHECK(posix_timespec_to_ns(&second) >= posix_timespec_to_ns(&first));
    int32_t own = (int32_t)(~(uint32_t)shim_thread_id() << 3 | 6); /* pthread_getcpuclockid */
    CHECK_EQUAL(posix_clock_gettime((uint64_t)(int64_t)own, at(&first)), 0);
    CHECK_EQUAL(posix_time(0), posix_realtime_ns() / POSIX_NS_PER_S);
}

/* @verifies ATL-LLR-POSIX-0032~1 */
TEST(sleeping_takes_its_time)
{
    struct posix_timespec time = {0, 4000000};
    uint64_t start = shim_now_ns();
    CHECK_EQUAL(posix_nanosleep(at(&time), 0), 0);
    CHECK(shim_now_ns() - start >= 4000000);
    time = posix_timespec_of_ns(shim_now_ns() + 4000000);
    start = shim_now_ns();
    CHECK_EQUAL(posix_clock_nanosleep(1, 1, at(&time), 0), 0);
    CHECK(shim_now_ns() - start >= 3000000);
    time = (struct posix_timespec){0, 1000000000};
    CHECK_EQUAL(posix_nanosleep(at(&time), 0), -EINVAL);
    CHECK_EQUAL(posix_nanosleep(UNMAPPED, 0), -EFAULT);
    time = (struct posix_timespec){0, 0};
    CHECK_EQUAL(posix_clock_nanosleep(3, 0, at(&time), 0), -EOPNOTSUPP);
    CHECK_EQUAL(posix_clock_nanosleep(2, 0, at(&time), 0), 0);
}

struct sleep {
    int64_t result;
    struct posix_timespec rest;
};

static void sleep_long(void *argument)
{
    struct sleep *sleep = argument;
    struct posix_timespec time = {100, 0};
    sleep->result = posix_nanosleep(at(&time), at(&sleep->rest));
}

/* @verifies ATL-LLR-POSIX-0032~1 */
TEST(a_signal_ends_a_sleep_and_the_rest_is_told)
{
    struct sleep sleep = {0};
    uint64_t parks = shim_park_count();
    void *token = shim_start(sleep_long, &sleep);
    shim_await_parks(parks + 1);
    CHECK_EQUAL(posix_tkill((uint64_t)shim_id_of(token), 10), 0);
    shim_join(token);
    CHECK_EQUAL(sleep.result, -ERESTART_RESTARTBLOCK);
    CHECK(sleep.rest.seconds >= 90 && sleep.rest.seconds < 100);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
