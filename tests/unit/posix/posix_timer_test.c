/* SPDX-License-Identifier: Apache-2.0 */
/* Timers on the host's clock: periods and overruns near the largest numbers, signals at their
 * reserved places, limits. */
#include "shim.h"

#include <check.h>
#undef SI_USER
#undef SI_KERNEL
#undef SI_QUEUE
#undef SI_TIMER
#undef SI_TKILL
#undef SIG_DFL
#undef SIG_IGN
#undef SA_SIGINFO
#undef SA_ONSTACK
#undef SA_RESTART
#undef SA_NODEFER
#undef SA_RESETHAND
#include <posix/syscalls.h>
#include <posix/thread.h>
#include <time/timer.h>

#define MS 1000000ull
#define REALTIME 34
#define USR1 10
#define MONOTONIC 1

struct event {
    uint64_t value;
    int32_t signal, kind, thread, padding[11];
};
struct value {
    struct posix_timespec interval, value;
};

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

/* @verifies ATL-LLR-TIMER-0021~1 */
TEST(the_next_period_is_after_now_and_saturates)
{
    uint64_t missed;
    CHECK_EQUAL(timer_next(100, 10, 99, &missed), 100);
    CHECK_EQUAL(missed, 0);
    CHECK_EQUAL(timer_next(100, 10, 100, &missed), 110);
    CHECK_EQUAL(missed, 0);
    CHECK_EQUAL(timer_next(100, 10, 129, &missed), 130);
    CHECK_EQUAL(missed, 2);
    CHECK_EQUAL(timer_next(0, 1, GATE_NEVER - 2, &missed), GATE_NEVER - 1);
    CHECK_EQUAL(missed, GATE_NEVER - 2);
    CHECK_EQUAL(timer_next(GATE_NEVER - 10, 8, GATE_NEVER - 5, &missed), GATE_NEVER - 2);
    CHECK_EQUAL(timer_next(GATE_NEVER - 10, 100, GATE_NEVER - 5, &missed), GATE_NEVER - 1);
    CHECK_EQUAL(timer_next(5, GATE_NEVER, 7, &missed), GATE_NEVER - 1);
}

static void block(uint64_t set)
{
    CHECK_EQUAL(posix_rt_sigprocmask(2, at(&set), 0, 8), 0);
}

static uint64_t pending(void)
{
    uint64_t set = 0;
    CHECK_EQUAL(posix_rt_sigpending(at(&set), 8), 0);
    return set;
}

static int64_t await(int signal, struct posix_signal_info *info)
{
    uint64_t set = posix_signal_bit(signal);
    int64_t limit[2] = {5, 0};
    return posix_rt_sigtimedwait(at(&set), at(info), at(limit), 8);
}

static uint32_t create(int signal, int kind)
{
    struct event event = {.value = 99, .signal = signal, .kind = kind};
    uint32_t id = 0;
    CHECK_EQUAL(posix_timer_create(MONOTONIC, at(&event), at(&id)), 0);
    return id;
}

static void set(uint32_t id, uint64_t value_ns, uint64_t interval_ns)
{
    struct value value = {posix_timespec_of_ns(interval_ns), posix_timespec_of_ns(value_ns)};
    CHECK_EQUAL(posix_timer_settime(id, 0, at(&value), 0), 0);
}

/* @verifies ATL-LLR-TIMER-0020~1 ATL-LLR-TIMER-0021~1 ATL-LLR-SIGNAL-0005~1 */
TEST(a_periodic_timer_waits_for_its_signal_to_be_taken)
{
    struct posix_signal_info info;
    block(UINT64_MAX);
    uint32_t id = create(USR1, 0);
    uint64_t begin = posix_now_ns();
    set(id, MS, MS);
    while (posix_now_ns() < begin + 5 * MS) {
    }
    CHECK_EQUAL(await(USR1, &info), USR1);
    uint64_t passed = (posix_now_ns() - begin) / MS;
    CHECK_EQUAL(info.code, SI_TIMER);
    CHECK_EQUAL(info.timer.value, 99);
    CHECK_EQUAL(info.timer.id, id);
    CHECK(info.timer.overrun >= 3 && (uint64_t)info.timer.overrun < passed);
    CHECK_EQUAL(posix_timer_getoverrun(id), info.timer.overrun);
    CHECK_EQUAL(await(USR1, &info), USR1);
    CHECK_EQUAL(posix_timer_delete(id), 0);
}

/* @verifies ATL-LLR-TIMER-0022~1 */
TEST(an_older_signal_does_not_start_a_timer_that_was_set_since)
{
    struct posix_signal_info info;
    struct value now;
    uint32_t id = create(USR1, 0);
    set(id, 1, 2 * MS);
    while ((pending() & posix_signal_bit(USR1)) == 0) {
    }
    set(id, 0, 0);
    CHECK_EQUAL(await(USR1, &info), USR1);
    CHECK_EQUAL(posix_timer_gettime(id, at(&now)), 0);
    CHECK_EQUAL(posix_timespec_to_ns(&now.value), 0);
    CHECK_EQUAL(posix_timer_delete(id), 0);
}

/* Instants that do not fit, and a timer that is only read. @verifies ATL-LLR-TIMER-0041~1 */
TEST(far_instants_saturate)
{
    uint32_t id = create(USR1, 1);
    struct value value = {{INT64_MAX, 999999999}, {INT64_MAX, 999999999}};
    struct value now;
    CHECK_EQUAL(posix_timer_settime(id, 0, at(&value), 0), 0);
    CHECK_EQUAL(posix_timer_gettime(id, at(&now)), 0);
    CHECK(posix_timespec_to_ns(&now.value) > GATE_NEVER / 2);
    value = (struct value){{0, 0}, {0, 1}};
    CHECK_EQUAL(posix_timer_settime(id, 1, at(&value), at(&now)), 0);
    CHECK(posix_timespec_to_ns(&now.value) > GATE_NEVER / 2);
    CHECK_EQUAL(posix_timer_gettime(id, at(&now)), 0);
    CHECK_EQUAL(posix_timespec_to_ns(&now.value), 0);
    CHECK_EQUAL(posix_timer_delete(id), 0);
}

/* @verifies ATL-LLR-SIGNAL-0005~1 @robust */
TEST(places_are_counted_and_come_back)
{
    uint32_t ids[POSIX_SIGNAL_LIMIT_MAX];
    uint32_t id;
    posix_signal_set_limit(3);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 3; i++) {
            ids[i] = create(REALTIME, 0);
        }
        CHECK_EQUAL(posix_timer_create(MONOTONIC, 0, at(&id)), -EAGAIN);
        CHECK_EQUAL(posix_tkill((uint64_t)shim_thread_id(), REALTIME), -EAGAIN);
        for (int i = 0; i < 3; i++) {
            CHECK_EQUAL(posix_timer_delete(ids[i]), 0);
        }
    }
    posix_signal_set_limit(POSIX_SIGNAL_LIMIT_MAX);
    for (uint32_t i = 0; i < POSIX_SIGNAL_LIMIT_MAX; i++) {
        ids[i] = create(REALTIME, 0);
    }
    CHECK_EQUAL(posix_timer_create(MONOTONIC, 0, at(&id)), -EAGAIN);
    for (uint32_t i = 0; i < POSIX_SIGNAL_LIMIT_MAX; i++) {
        CHECK_EQUAL(posix_timer_delete(ids[i]), 0);
    }
}

/* @verifies ATL-LLR-TIMER-0030~1 */
TEST(an_alarm_comes_and_says_what_was_left)
{
    struct posix_signal_info info;
    CHECK_EQUAL(posix_alarm(100), 0);
    CHECK_EQUAL(posix_alarm(0), 100);
    CHECK_EQUAL(posix_alarm(UINT32_MAX), 0);
    CHECK(posix_alarm(0) >= INT32_MAX - 1);
    struct posix_timeval value[2] = {{0, 0}, {0, 1000}};
    CHECK_EQUAL(posix_setitimer(0, at(value), 0), 0);
    CHECK_EQUAL(await(14, &info), 14);
    CHECK_EQUAL(info.code, SI_KERNEL);
    CHECK_EQUAL(posix_setitimer(0, UNMAPPED, 0), -EFAULT);
    CHECK_EQUAL(posix_getitimer(0, UNMAPPED), -EFAULT);
    CHECK_EQUAL(posix_getitimer(3, at(value)), -EINVAL);
}

static _Atomic int observed;

static void observe(int signal)
{
    observed += signal;
}

/* What descriptors that read signals need. @verifies ATL-LLR-SIGNAL-0002~1 */
TEST(an_observer_is_told_of_blocked_signals)
{
    struct posix_signal_info info;
    posix_signal_observe(observe);
    CHECK_EQUAL(posix_tkill((uint64_t)shim_thread_id(), USR1), 0);
    CHECK_EQUAL(observed, USR1);
    CHECK_EQUAL(await(USR1, &info), USR1);
    CHECK_EQUAL(posix_kill(1, 18), 0); /* ignored, but blocked: kept */
    CHECK_EQUAL(observed, USR1 + 18);
    CHECK_EQUAL(posix_kill(1, 20), 0); /* a stop takes the continue away */
    CHECK_EQUAL(pending() & posix_signal_bit(18), 0);
    CHECK_EQUAL(await(20, &info), 20);
    posix_signal_observe(NULL);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
