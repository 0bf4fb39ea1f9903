/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks: monotonic time never goes back within a thread nor from one core to another, sleeps last
 * at least as long as asked, resolutions, errors, and that the vDSO and the system call agree.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0008~1 */
#include "check.h"
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>

static long long
    latest; /* guarded by turn: each thread must see a time not before the last one's */
static unsigned turn;
static int players;

static void *observe(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    long long mine = 0;
    check_pin((int)index);
    for (long i = 0; i < check_count(200); i++) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) % (unsigned)players != index) {
            sched_yield();
        }
        long long now = check_now_ns(CLOCK_MONOTONIC);
        CHECK(now >= latest);
        CHECK(now >= mine);
        mine = latest = now;
        __atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void never_back(void)
{
    pthread_t threads[CHECK_CORES_MAX];
    players = check_all_cores_count > 1 ? check_all_cores_count : 2;
    for (long i = 0; i < players; i++) {
        threads[i] = check_thread(observe, (void *)i);
    }
    for (int i = 0; i < players; i++) {
        check_join(threads[i]);
    }
}

static void *sleep_on_core(void *argument)
{
    unsigned long long random = (uintptr_t)argument + 1;
    check_pin((int)(uintptr_t)argument);
    for (int i = 0; i < 20; i++) {
        long ns = (long)(check_random(&random) % 3000000);
        struct timespec time = {0, ns};
        long long begin = check_now_ns(CLOCK_MONOTONIC);
        CHECK_EQUAL(nanosleep(&time, NULL), 0);
        long long middle = check_now_ns(CLOCK_MONOTONIC);
        CHECK(middle - begin >= ns);
        struct timespec until = check_after_ns(CLOCK_MONOTONIC, ns);
        long long target = until.tv_sec * 1000000000LL + until.tv_nsec;
        CHECK_EQUAL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
        CHECK(check_now_ns(CLOCK_MONOTONIC) >= target);
    }
    return NULL;
}

static void sleeps(void)
{
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) {
        threads[i] = check_thread(sleep_on_core, (void *)i);
    }
    for (int i = 0; i < 8; i++) {
        check_join(threads[i]);
    }
}

static void errors(void)
{
    struct timespec now, bad = {0, 1000000000}, negative = {-1, 0}, past = {1, 0};
    CHECK_ERRNO(clock_gettime(12345, &now), EINVAL);
    CHECK_ERRNO(clock_getres(12345, &now), EINVAL);
    CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
    CHECK_ERRNO(nanosleep(&negative, NULL), EINVAL);
    CHECK_EQUAL(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
    CHECK_EQUAL(clock_nanosleep(12345, 0, &past, NULL), EINVAL);
    CHECK_EQUAL(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, NULL), 0);
    CHECK_EQUAL(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL), 0);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
}

static void resolutions(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME,           CLOCK_MONOTONIC,
                                       CLOCK_MONOTONIC_RAW,      CLOCK_BOOTTIME,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct timespec resolution, now;
        CHECK_EQUAL(clock_getres(clocks[i], &resolution), 0);
        CHECK(resolution.tv_sec == 0 && resolution.tv_nsec == 1);
        CHECK_EQUAL(clock_gettime(clocks[i], &now), 0);
        CHECK(now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
    }
}

static long long system_call_ns(clockid_t clock)
{
    struct timespec now;
    CHECK_EQUAL(syscall(SYS_clock_gettime, clock, &now), 0);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void vdso_agrees(void)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    for (int i = 0; i < 1000; i++) {
        long long before = system_call_ns(clocks[i % 2]), vdso = check_now_ns(clocks[i % 2]);
        long long after = system_call_ns(clocks[i % 2]);
        CHECK(before <= vdso && vdso <= after);
    }
}

static void wall_time(void)
{
    struct timeval coarse;
    long long before = check_now_ns(CLOCK_REALTIME);
    CHECK_EQUAL(gettimeofday(&coarse, NULL), 0);
    long long after = check_now_ns(CLOCK_REALTIME);
    long long us = coarse.tv_sec * 1000000LL + coarse.tv_usec;
    CHECK(before / 1000 <= us && us <= after / 1000);
    time_t seconds = time(NULL);
    CHECK(seconds >= before / 1000000000 - 1 &&
          seconds <= check_now_ns(CLOCK_REALTIME) / 1000000000);
    CHECK(seconds > 1577836800); /* 2020: the machine's clock was read */
}

static void processor_time(void)
{
    long long begin = check_now_ns(CLOCK_THREAD_CPUTIME_ID), wall = check_now_ns(CLOCK_MONOTONIC);
    volatile unsigned long work = 0;
    while (check_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin < 5000000) {
        work++;
    }
    CHECK(check_now_ns(CLOCK_MONOTONIC) - wall >= 4000000);
    long long used = 30000000; /* sleeping costs nothing; that the host lets nobody run does */
    for (int i = 0; i < 50 && used >= 30000000; i++) {
        begin = check_now_ns(CLOCK_THREAD_CPUTIME_ID);
        check_sleep_ms(30);
        used = check_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    }
    CHECK(used < 30000000);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"never_back", never_back},         {"sleeps", sleeps},           {"errors", errors},
        {"resolutions", resolutions},       {"vdso_agrees", vdso_agrees}, {"wall_time", wall_time},
        {"processor_time", processor_time},
    };
    return CHECK_MAIN(cases);
}
