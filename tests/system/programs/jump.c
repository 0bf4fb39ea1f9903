/* SPDX-License-Identifier: Apache-2.0 */
/* Arms timers and waits of all kinds on two cores, says `jump` and how many ticks of the TSC an
 * hour is, and waits for the clocks to go forward by so much (test_time_jump.py): what is due
 * within the hour must be over, once and with what was missed counted; what is due later must not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define HOUR 3600L
#define SOON 1200L    /* within the hour */
#define FIRST 900L    /* a timer, and then every */
#define INTERVAL 600L /* : at 900, 1500, 2100, 2700 and 3300 s */
#define EXPIRATIONS 5
#define FAR (2 * HOUR)
#define SLACK 200L /* s that all of it may take, or that the jump is not an hour */
#define FINE_FIRST_MISSED ((HOUR - FIRST) * 1000)
#define ROUNDS 20

/* musl has no <linux/futex.h> */
#define FUTEX_WAIT 0
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256

#define REQUIRE(condition_) require((condition_), #condition_, __LINE__)

static void require(int holds, const char *what, int line)
{
    if (!holds) {
        printf("line %d: not %s (errno %d)\n", line, what, errno);
        fflush(stdout);
        _exit(1);
    }
}

static double now(clockid_t clock)
{
    struct timespec time;
    REQUIRE(clock_gettime(clock, &time) == 0);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct timespec after(clockid_t clock, long seconds)
{
    struct timespec time;
    REQUIRE(clock_gettime(clock, &time) == 0);
    time.tv_sec += seconds;
    return time;
}

static void run_on(int core, int policy)
{
    const struct sched_param parameters = {0};
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    REQUIRE(sched_setaffinity(0, sizeof(set), &set) == 0);
    REQUIRE(syscall(SYS_sched_setscheduler, 0, policy, &parameters) == 0); /* musl offers none */
}

/* ---- waits that end by their limit */

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static int word;

static void wait_nanosleep(void)
{
    REQUIRE(nanosleep(&(struct timespec){SOON, 0}, NULL) == 0);
}

static void wait_monotonic(void)
{
    const struct timespec at = after(CLOCK_MONOTONIC, SOON);
    REQUIRE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0);
}

static void wait_realtime(void)
{
    const struct timespec at = after(CLOCK_REALTIME, SOON);
    REQUIRE(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == 0);
}

static void wait_poll(void)
{
    REQUIRE(poll(NULL, 0, SOON * 1000) == 0);
}

static void wait_select(void)
{
    REQUIRE(select(0, NULL, NULL, NULL, &(struct timeval){SOON, 0}) == 0);
}

static void wait_epoll(void)
{
    struct epoll_event event;
    int epoll = epoll_create1(0);
    REQUIRE(epoll_wait(epoll, &event, 1, SOON * 1000) == 0);
    close(epoll);
}

static void wait_futex(void)
{
    const struct timespec limit = {SOON, 0};
    REQUIRE(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &limit, NULL, 0) < 0 && errno == ETIMEDOUT);
}

static void wait_futex_absolute(void)
{
    const struct timespec at = after(CLOCK_REALTIME, SOON);
    int operation = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
    REQUIRE(syscall(SYS_futex, &word, operation, 0, &at, NULL, -1) < 0 && errno == ETIMEDOUT);
}

static void wait_condition(void)
{
    const struct timespec at = after(CLOCK_REALTIME, SOON);
    pthread_mutex_lock(&lock);
    REQUIRE(pthread_cond_timedwait(&never, &lock, &at) == ETIMEDOUT);
    pthread_mutex_unlock(&lock);
}

static void wait_mutex(void)
{
    const struct timespec at = after(CLOCK_REALTIME, SOON);
    REQUIRE(pthread_mutex_timedlock(&held, &at) == ETIMEDOUT);
}

static void wait_semaphore(void)
{
    const struct timespec at = after(CLOCK_REALTIME, SOON);
    REQUIRE(sem_timedwait(&semaphore, &at) < 0 && errno == ETIMEDOUT);
}

static void wait_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    REQUIRE(sigtimedwait(&set, NULL, &(struct timespec){SOON, 0}) < 0 && errno == EAGAIN);
}

static void wait_timerfd(void)
{
    const struct itimerspec value = {{INTERVAL, 0}, {FIRST, 0}};
    struct itimerspec rest;
    uint64_t expirations = 0;
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    REQUIRE(timerfd_settime(timer, 0, &value, NULL) == 0);
    REQUIRE(read(timer, &expirations, sizeof(expirations)) == sizeof(expirations));
    REQUIRE(expirations == EXPIRATIONS);
    REQUIRE(timerfd_gettime(timer, &rest) == 0);
    REQUIRE(rest.it_value.tv_sec < INTERVAL);
    close(timer);
}

/* Every millisecond, from 900 s on, by the wall clock. */
static void wait_fine_timerfd(void)
{
    struct itimerspec value = {{0, 1000000}, after(CLOCK_REALTIME, FIRST)};
    uint64_t expirations = 0;
    int timer = timerfd_create(CLOCK_REALTIME, 0);
    REQUIRE(timerfd_settime(timer, TFD_TIMER_ABSTIME, &value, NULL) == 0);
    REQUIRE(read(timer, &expirations, sizeof(expirations)) == sizeof(expirations));
    REQUIRE(expirations >= FINE_FIRST_MISSED - SLACK * 1000 &&
            expirations < FINE_FIRST_MISSED + SLACK * 1000);
    REQUIRE(read(timer, &expirations, sizeof(expirations)) == sizeof(expirations));
    REQUIRE(expirations < SLACK * 1000);
    close(timer);
}

static void (*const waits[])(void) = {
    wait_nanosleep, wait_monotonic,      wait_realtime,  wait_poll,        wait_select,
    wait_epoll,     wait_futex,          wait_condition, wait_mutex,       wait_semaphore,
    wait_signal,    wait_futex_absolute, wait_timerfd,   wait_fine_timerfd};
#define WAITS (2 * (int)(sizeof(waits) / sizeof(waits[0]))) /* each on both cores */

static _Atomic int entered;

static void *wait_on_core(void *argument)
{
    int number = (int)(intptr_t)argument;
    run_on(number % 2, SCHED_OTHER);
    double start = now(CLOCK_MONOTONIC), busy = now(CLOCK_THREAD_CPUTIME_ID);
    entered++;
    waits[number / 2]();
    double passed = now(CLOCK_MONOTONIC) - start;
    REQUIRE(passed > HOUR - SLACK && passed < HOUR + SLACK);
    REQUIRE(now(CLOCK_THREAD_CPUTIME_ID) - busy < SLACK); /* it has waited, not run */
    return NULL;
}

/* ---- what goes on meanwhile */

static _Atomic int is_over;

/* Computes behind everybody else; the clocks never go back. */
static void *watch_clocks(void *argument)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    double last[3] = {0};
    run_on((int)(intptr_t)argument, SCHED_IDLE);
    entered++;
    while (is_over == 0) {
        for (int i = 0; i < 3; i++) {
            double seen = now(clocks[i]);
            REQUIRE(seen >= last[i]);
            last[i] = seen;
        }
    }
    return NULL;
}

static void *wait_long(void *argument)
{
    const struct timespec at = after(CLOCK_REALTIME, FAR);
    pthread_mutex_lock(&lock);
    entered++;
    int error = pthread_cond_timedwait(argument, &lock, &at);
    pthread_mutex_unlock(&lock);
    REQUIRE(error == 0 && is_over == 1);
    return NULL;
}

/* ---- timers that send signals; all are blocked and taken here */

static timer_t coarse, fine, far;

static timer_t start_timer(int number, struct timespec interval, long first)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
    const struct itimerspec value = {interval, {first, 0}};
    timer_t timer;
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    REQUIRE(timer_settime(timer, 0, &value, NULL) == 0);
    return timer;
}

static void start_timers(void)
{
    const struct itimerval value = {{INTERVAL, 0}, {FIRST, 0}};
    sigset_t all;
    sigfillset(&all);
    REQUIRE(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    coarse = start_timer(SIGRTMIN, (struct timespec){INTERVAL, 0}, FIRST);
    fine = start_timer(SIGRTMIN + 1, (struct timespec){0, 1000000}, FIRST);
    far = start_timer(SIGRTMIN + 2, (struct timespec){0}, FAR);
    REQUIRE(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

/* The signal's overruns, or -1: it does not come. */
static long take(int number)
{
    const struct timespec limit = {0, 100000000};
    siginfo_t information;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return sigtimedwait(&set, &information, &limit) == number ? information.si_overrun : -1;
}

static void check_timers(void)
{
    struct itimerspec rest;
    struct itimerval value;
    REQUIRE(take(SIGRTMIN) == EXPIRATIONS - 1);
    REQUIRE(timer_getoverrun(coarse) == EXPIRATIONS - 1);
    REQUIRE(take(SIGRTMIN) == -1);
    REQUIRE(take(SIGALRM) >= 0);
    REQUIRE(take(SIGALRM) == -1);
    REQUIRE(getitimer(ITIMER_REAL, &value) == 0);
    REQUIRE(value.it_value.tv_sec < INTERVAL && value.it_interval.tv_sec == INTERVAL);
    long missed = take(SIGRTMIN + 1);
    REQUIRE(missed >= FINE_FIRST_MISSED - SLACK * 1000 &&
            missed < FINE_FIRST_MISSED + SLACK * 1000);
    missed = take(SIGRTMIN + 1);
    REQUIRE(missed >= 0 && missed < SLACK * 1000);
    REQUIRE(timer_delete(fine) == 0);
    REQUIRE(take(SIGRTMIN + 2) == -1);
    REQUIRE(timer_gettime(far, &rest) == 0);
    REQUIRE(rest.it_value.tv_sec < HOUR + SLACK && rest.it_value.tv_sec > HOUR - SLACK);
}

/* Until everybody waits: this thread runs on a core only when nobody else wants to. */
static void let_all_wait(int count)
{
    run_on(0, SCHED_IDLE);
    while (entered != count) {
        sched_yield();
    }
    for (int round = 0; round < ROUNDS; round++) {
        run_on(round % 2, SCHED_IDLE);
        usleep(2000);
    }
    run_on(0, SCHED_OTHER);
}

/* The clock and the TSC at one instant: the closest of some readings. */
static void read_both(double *seconds, double *ticks)
{
    double closest = 1e18;
    for (int i = 0; i < ROUNDS; i++) {
        double first = (double)__builtin_ia32_rdtsc(), time = now(CLOCK_MONOTONIC);
        double distance = (double)__builtin_ia32_rdtsc() - first;
        if (distance < closest) {
            closest = distance;
            *seconds = time;
            *ticks = first + distance / 2;
        }
    }
}

static double ticks_per_second(void)
{
    double start, end, first, last;
    read_both(&start, &first);
    usleep(50000);
    read_both(&end, &last);
    return (last - first) / (end - start);
}

int main(void)
{
    pthread_t threads[WAITS], watchers[2], patient;
    pthread_cond_t end = PTHREAD_COND_INITIALIZER;
    double ticks = ticks_per_second();
    sem_init(&semaphore, 0, 0);
    pthread_mutex_lock(&held);
    start_timers();
    for (int i = 0; i < WAITS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, wait_on_core, (void *)(intptr_t)i) == 0);
    }
    for (int i = 0; i < 2; i++) {
        REQUIRE(pthread_create(&watchers[i], NULL, watch_clocks, (void *)(intptr_t)i) == 0);
    }
    REQUIRE(pthread_create(&patient, NULL, wait_long, &end) == 0);
    let_all_wait(WAITS + 3);
    printf("jump %.0f\n", HOUR * ticks);
    fflush(stdout);
    for (int i = 0; i < WAITS; i++) {
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    }
    check_timers();
    pthread_mutex_lock(&lock);
    is_over = 1;
    pthread_cond_broadcast(&end);
    pthread_mutex_unlock(&lock);
    pthread_join(patient, NULL);
    pthread_join(watchers[0], NULL);
    pthread_join(watchers[1], NULL);
    puts("over");
    return 0;
}
