/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time: only what a thread runs is its time, on whatever core and whoever asks; the
 * process has at least the sum of its threads; sleeping on these clocks; getrusage and times agree.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0016~1
 *   ATL-LLR-TIMER-0010~1 ATL-LLR-TIMER-0011~1 ATL-LLR-TIMER-0012~1 ATL-LLR-TIMER-0013~1
 *   ATL-LLR-GATE-0034~1 ATL-LLR-GATE-0023~2 */
#include "check.h"
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>

#define MS 1000000LL

static void work_for(long long ns)
{
    long long begin = check_now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (check_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin < ns) {
    }
}

static void own(void)
{
    long long wall = check_now_ns(CLOCK_MONOTONIC);
    long long begin = check_now_ns(CLOCK_THREAD_CPUTIME_ID), last = begin;
    for (int i = 0; i < 1000; i++) {
        long long now = check_now_ns(CLOCK_THREAD_CPUTIME_ID);
        CHECK(now >= last);
        last = now;
    }
    CHECK(last > begin);
    CHECK(last - begin <= check_now_ns(CLOCK_MONOTONIC) - wall);
}

static _Atomic long long shared_sum;

static void *work_in_turns(void *argument)
{
    check_pin(0);
    long long begin = check_now_ns(CLOCK_THREAD_CPUTIME_ID);
    work_for(30 * MS);
    shared_sum += check_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    return argument;
}

/* Three threads share a core: time in which another one runs is not theirs. */
static void shared_core(void)
{
    pthread_t threads[3];
    long long wall = check_now_ns(CLOCK_MONOTONIC);
    shared_sum = 0;
    for (int i = 0; i < 3; i++) {
        threads[i] = check_thread(work_in_turns, NULL);
    }
    for (int i = 0; i < 3; i++) {
        check_join(threads[i]);
    }
    wall = check_now_ns(CLOCK_MONOTONIC) - wall;
    CHECK(shared_sum >= 90 * MS);
    CHECK(shared_sum <= wall);
}

static _Atomic int stop;

static void *work_until_stopped(void *argument)
{
    check_pin(1);
    while (!stop) {
    }
    return argument;
}

static void *sleep_until_stopped(void *argument)
{
    while (!stop) {
        check_sleep_ms(2);
    }
    return argument;
}

/* By the clock number that pthread_getcpuclockid gives. */
static void of_another(void)
{
    clockid_t busy, lazy;
    long long wall = check_now_ns(CLOCK_MONOTONIC), last = 0, now;
    stop = 0;
    pthread_t worker = check_thread(work_until_stopped, NULL);
    pthread_t sleeper = check_thread(sleep_until_stopped, NULL);
    CHECK_EQUAL(pthread_getcpuclockid(worker, &busy), 0);
    CHECK_EQUAL(pthread_getcpuclockid(sleeper, &lazy), 0);
    CHECK(busy < 0 && busy != lazy);
    while ((now = check_now_ns(busy)) < 20 * MS) {
        CHECK(now >= last);
        last = now;
    }
    now = check_now_ns(lazy);
    CHECK(now < check_now_ns(CLOCK_MONOTONIC) - wall);
    last = check_now_ns(busy) + now; /* what others use goes on while we compare */
    CHECK(check_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= last);
    struct timespec resolution;
    CHECK_EQUAL(clock_getres(busy, &resolution), 0);
    CHECK(resolution.tv_sec == 0 && resolution.tv_nsec == 1);
    stop = 1;
    check_join(worker);
    check_join(sleeper);
}

static void process(void)
{
    clockid_t clock;
    struct timespec now;
    CHECK_EQUAL(clock_getcpuclockid(getpid(), &clock), 0);
    long long wall = check_now_ns(CLOCK_MONOTONIC), used = check_now_ns(clock);
    work_for(10 * MS);
    long long after = check_now_ns(clock);
    CHECK(after - used >= 9 * MS);
    CHECK(after - used <= (check_now_ns(CLOCK_MONOTONIC) - wall) * check_all_cores_count + MS);
    CHECK(check_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= after);
    CHECK_ERRNO(clock_gettime((clockid_t)(~0x3fffffu << 3 | 2), &now), EINVAL);
    CHECK_ERRNO(clock_gettime((clockid_t)(~0x3fffffu << 3 | 6), &now), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, (long)(clockid_t)(~1u << 3 | 7), &now), EINVAL);
}

/* A sleep on the process's clock ends when others have used that much. */
static void sleep_while_others_work(void)
{
    struct timespec time = {0, 10 * MS};
    stop = 0;
    pthread_t worker = check_thread(work_until_stopped, NULL);
    long long begin = check_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK_EQUAL(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &time, NULL), 0);
    long long end = check_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    CHECK(end - begin >= 10 * MS);
    long long until = end + 5 * MS;
    time.tv_sec = until / 1000000000, time.tv_nsec = until % 1000000000;
    CHECK_EQUAL(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &time, NULL), 0);
    CHECK(check_now_ns(CLOCK_PROCESS_CPUTIME_ID) >= until);
    stop = 1;
    check_join(worker);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, (long)(clockid_t)(~0u << 3 | 6), 0, &time, NULL),
                EINVAL);
}

static long long us_of(struct timeval user, struct timeval system)
{
    return (user.tv_sec + system.tv_sec) * 1000000LL + user.tv_usec + system.tv_usec;
}

static void usage(void)
{
    struct rusage process, thread, children;
    work_for(30 * MS);
    CHECK_EQUAL(getrusage(RUSAGE_SELF, &process), 0);
    CHECK_EQUAL(getrusage(RUSAGE_THREAD, &thread), 0);
    CHECK_EQUAL(getrusage(RUSAGE_CHILDREN, &children), 0);
    CHECK(us_of(thread.ru_utime, thread.ru_stime) >= 20000);
    CHECK(us_of(process.ru_utime, process.ru_stime) >=
          us_of(thread.ru_utime, thread.ru_stime) - 20000);
    CHECK_EQUAL(us_of(children.ru_utime, children.ru_stime), 0);
    CHECK(process.ru_maxrss > 0 && process.ru_minflt > 0);
    CHECK_ERRNO(getrusage(99, &process), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, 8), EFAULT);
    struct tms tms;
    CHECK(times(&tms) != (clock_t)-1);
    CHECK(tms.tms_utime + tms.tms_stime >= 1 && tms.tms_cutime == 0);
    CHECK(clock() > 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"own", own},
        {"shared_core", shared_core},
        {"of_another", of_another},
        {"process", process},
        {"sleep_while_others_work", sleep_while_others_work},
        {"usage", usage},
    };
    return CHECK_MAIN(cases);
}
