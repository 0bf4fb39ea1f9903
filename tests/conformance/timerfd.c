/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd: once and with intervals, relative and absolute, read, polled, set anew and closed while
 * waited for.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0030~1 ATL-LLR-EVENT-0031~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define MS 1000000LL
#define S 1000000000LL

static int timer;

static struct timespec span(long long ns)
{
    return (struct timespec){ns / S, ns % S};
}

static void set(long long value, long long interval, int flags)
{
    struct itimerspec time = {span(interval), span(value)};
    CHECK_EQUAL(timerfd_settime(timer, flags, &time, NULL), 0);
}

static long long rest(long long *interval)
{
    struct itimerspec time;
    CHECK_EQUAL(timerfd_gettime(timer, &time), 0);
    *interval = time.it_interval.tv_sec * S + time.it_interval.tv_nsec;
    return time.it_value.tv_sec * S + time.it_value.tv_nsec;
}

static uint64_t ticks(void)
{
    uint64_t value = 0;
    CHECK_EQUAL(read(timer, &value, sizeof(value)), sizeof(value));
    return value;
}

static void create(int clock, int flags)
{
    timer = timerfd_create(clock, flags);
    CHECK(timer >= 0);
}

static void once(void)
{
    long long interval;
    uint64_t value;
    create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    CHECK_EQUAL(fcntl(timer, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(rest(&interval), 0);
    CHECK_ERRNO(read(timer, &value, 8), EAGAIN);
    set(1000 * S, 0, 0);
    long long left = rest(&interval);
    CHECK(left > 900 * S && left <= 1000 * S);
    CHECK_EQUAL(interval, 0);
    set(0, 5 * S, 0); /* disarms, keeps the interval */
    CHECK_EQUAL(rest(&interval), 0);
    CHECK_EQUAL(interval, 5 * S);
    CHECK_EQUAL(fcntl(timer, F_SETFL, 0), 0);
    long long start = check_now_ns(CLOCK_MONOTONIC);
    set(20 * MS, 0, 0);
    CHECK_EQUAL(ticks(), 1);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 20 * MS);
    CHECK_EQUAL(rest(&interval), 0);
    CHECK_EQUAL(fcntl(timer, F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(read(timer, &value, 8), EAGAIN);
    CHECK_EQUAL(close(timer), 0);
}

static void errors(void)
{
    struct itimerspec time = {{0, 0}, {1, 1000000000}};
    uint64_t value;
    CHECK_ERRNO(timerfd_create(99, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    create(CLOCK_REALTIME, TFD_NONBLOCK);
    CHECK_ERRNO(timerfd_settime(timer, 0, &time, NULL), EINVAL);
    time.it_value.tv_nsec = 0;
    CHECK_ERRNO(timerfd_settime(timer, 8, &time, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(0, 0, &time, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(999, 0, &time, NULL), EBADF);
    CHECK_ERRNO(timerfd_gettime(999, &time), EBADF);
    CHECK_ERRNO(syscall(SYS_timerfd_settime, timer, 0, 16, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_timerfd_gettime, timer, 16), EFAULT);
    CHECK_ERRNO(read(timer, &value, 7), EINVAL);
    CHECK_ERRNO(write(timer, &value, 8), EINVAL);
    CHECK_EQUAL(close(timer), 0);
}

/* The count is that of the instants that have passed, whenever one looks. */
static void intervals(void)
{
    long long interval;
    create(CLOCK_MONOTONIC, 0);
    long long start = check_now_ns(CLOCK_MONOTONIC);
    set(10 * MS, 7 * MS, 0);
    uint64_t total = 0;
    while (total < 20) {
        total += ticks();
        long long passed = check_now_ns(CLOCK_MONOTONIC) - start;
        CHECK((long long)total <= (passed - 10 * MS) / (7 * MS) + 1);
    }
    check_sleep_ms(50);
    long long before = check_now_ns(CLOCK_MONOTONIC) - start;
    total += ticks();
    long long after = check_now_ns(CLOCK_MONOTONIC) - start;
    CHECK((long long)total >= (before - 10 * MS) / (7 * MS) - 1); /* it was armed after `start` */
    CHECK((long long)total <= (after - 10 * MS) / (7 * MS) + 1);
    long long left = rest(&interval);
    CHECK(left > 0 && left <= 7 * MS);
    CHECK_EQUAL(interval, 7 * MS);
    set(1, 1, 0); /* as short as it can be: many instants in one read */
    check_sleep_ms(5);
    CHECK(ticks() > 1000000);
    CHECK_EQUAL(close(timer), 0);
}

static void absolute(void)
{
    struct itimerspec old;
    const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    for (int i = 0; i < 3; i++) {
        create(clocks[i], 0);
        long long at = check_now_ns(clocks[i]) + 15 * MS;
        set(at, 0, TFD_TIMER_ABSTIME);
        CHECK_EQUAL(ticks(), 1);
        CHECK(check_now_ns(clocks[i]) >= at);
        set(1, 0, TFD_TIMER_ABSTIME); /* long over */
        CHECK_EQUAL(ticks(), 1);
        set(100 * S, 3 * S, 0);
        struct itimerspec zero = {{0, 0}, {0, 0}};
        CHECK_EQUAL(timerfd_settime(timer, 0, &zero, &old), 0);
        CHECK_EQUAL(old.it_interval.tv_sec, 3);
        CHECK(old.it_value.tv_sec >= 90 && old.it_value.tv_sec <= 100);
        CHECK_EQUAL(close(timer), 0);
    }
}

static void polled(void)
{
    create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct pollfd one = {timer, POLLIN, 0};
    CHECK_EQUAL(poll(&one, 1, 0), 0);
    set(10 * MS, 0, 0);
    CHECK_EQUAL(poll(&one, 1, -1), 1);
    CHECK_EQUAL(one.revents, POLLIN);
    set(0, 0, 0); /* setting it anew forgets what was not read */
    CHECK_EQUAL(poll(&one, 1, 0), 0);
    int all = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    CHECK_EQUAL(epoll_ctl(all, EPOLL_CTL_ADD, timer, &event), 0);
    set(5 * MS, 5 * MS, 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(epoll_wait(all, &event, 1, -1), 1);
        CHECK(ticks() >= 1);
    }
    CHECK_EQUAL(close(timer), 0);
    CHECK_EQUAL(epoll_wait(all, &event, 1, 20), 0);
    CHECK_EQUAL(close(all), 0);
}

static void *set_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    set(1 * MS, 0, 0);
    return argument;
}

/* A thread reads, another one sets the timer. */
static void set_while_waiting(void)
{
    create(CLOCK_MONOTONIC, 0);
    set(1000 * S, 0, 0);
    pthread_t thread = check_thread(set_later, NULL);
    CHECK_EQUAL(ticks(), 1);
    check_join(thread);
    CHECK_EQUAL(close(timer), 0);
}

/* Timers that are closed about when they expire, on all cores. */
static void *open_and_close(void *argument)
{
    check_pin((int)(long)argument);
    for (long i = 0; i < check_count(300); i++) {
        struct itimerspec time = {span(i % 3 * 10000), span(i % 50 * 1000 + 1)};
        int own = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        uint64_t value;
        CHECK(own >= 0);
        CHECK_EQUAL(timerfd_settime(own, 0, &time, NULL), 0);
        if (i % 4 == 0) {
            CHECK(read(own, &value, 8) == 8 || errno == EAGAIN);
        }
        CHECK_EQUAL(close(own), 0);
    }
    return argument;
}

static void closing_races(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(open_and_close, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"once", once},
        {"errors", errors},
        {"intervals", intervals},
        {"absolute", absolute},
        {"polled", polled},
        {"set_while_waiting", set_while_waiting},
        {"closing_races", closing_races},
    };
    return CHECK_MAIN(cases);
}
