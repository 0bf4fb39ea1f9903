/* SPDX-License-Identifier: Apache-2.0 */
/* Timers that send signals: setitimer, alarm, timer_create with each way of telling, overruns,
 * intervals, clocks, errors; also threads that never enter the kernel while their timer expires.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0041~1
 *   ATL-LLR-TIMER-0020~1 ATL-LLR-TIMER-0021~1 ATL-LLR-TIMER-0022~1 ATL-LLR-TIMER-0030~1
 *   ATL-LLR-TIMER-0040~1 ATL-LLR-TIMER-0041~1 ATL-LLR-TIMER-0050~1 */
#include "../waiting.h"

#include "check.h"
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>

#ifndef sigev_notify_thread_id /* glibc has no name for it */
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define MS 1000000L

static volatile sig_atomic_t handled;
static volatile long long handled_at;
static siginfo_t last_info;
static timer_t *stop_at_50;

static void note(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    last_info = *info;
    handled_at = check_now_ns(CLOCK_MONOTONIC);
    handled++;
    if (stop_at_50 != NULL && handled == 50) {
        struct itimerspec zero = {0};
        CHECK_EQUAL(timer_settime(*stop_at_50, 0, &zero, NULL), 0);
    }
}

static void install(int signal)
{
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
    handled = 0;
}

/* Spins without a system call, so that only an interrupt brings the signal. */
static void spin_until_handled(int count)
{
    while (handled < count) {
    }
}

static void block(int signal, int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    CHECK_EQUAL(pthread_sigmask(how, &set, NULL), 0);
}

static void real_interval(void)
{
    struct itimerval value = {{0, 2000}, {0, 3000}}, old, zero = {0};
    install(SIGALRM);
    long long begin = check_now_ns(CLOCK_MONOTONIC);
    CHECK_EQUAL(setitimer(ITIMER_REAL, &value, &old), 0);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    spin_until_handled(1);
    CHECK(handled_at - begin >= 3 * MS);
    CHECK(last_info.si_signo == SIGALRM && last_info.si_code == SI_KERNEL);
    spin_until_handled(5);
    CHECK(handled_at - begin >= 3 * MS + 4 * 2 * MS);
    CHECK_EQUAL(getitimer(ITIMER_REAL, &old), 0);
    CHECK(old.it_interval.tv_sec == 0 && old.it_interval.tv_usec == 2000);
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec <= 2000);
    CHECK_EQUAL(setitimer(ITIMER_REAL, &zero, NULL), 0);
    int seen = handled;
    check_sleep_ms(10);
    CHECK_EQUAL(handled, seen);
    CHECK_EQUAL(getitimer(ITIMER_REAL, &old), 0);
    CHECK(old.it_value.tv_usec == 0 && old.it_interval.tv_usec == 0);
}

static void alarms(void)
{
    install(SIGALRM);
    CHECK_EQUAL(alarm(100), 0);
    unsigned left = alarm(1);
    CHECK(left >= 90 && left <= 100);
    CHECK_EQUAL(pause(), -1);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(alarm(0), 0);
    struct itimerval tiny = {{0, 0}, {0, 400000}};
    CHECK_EQUAL(setitimer(ITIMER_REAL, &tiny, NULL), 0);
    CHECK_EQUAL(alarm(0), 1); /* less than half a second is not none */
    CHECK_EQUAL(handled, 1);
}

static void processor_interval(void)
{
    static const int which[] = {ITIMER_PROF, ITIMER_VIRTUAL}, signals[] = {SIGPROF, SIGVTALRM};
    for (int i = 0; i < 2; i++) {
        struct itimerval value = {{0, 4000}, {0, 8000}}, zero = {0};
        install(signals[i]);
        long long begin = check_now_ns(CLOCK_PROCESS_CPUTIME_ID);
        CHECK_EQUAL(setitimer(which[i], &value, NULL), 0);
        check_sleep_ms(30);
        int seen = handled; /* before the clock is read */
        CHECK(seen == 0 || check_now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin >= 8 * MS);
        spin_until_handled(3);
        CHECK(check_now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin >= 8 * MS);
        CHECK_EQUAL(setitimer(which[i], &zero, NULL), 0);
        CHECK_EQUAL(last_info.si_signo, signals[i]);
    }
}

static timer_t create(clockid_t clock, struct sigevent *event)
{
    timer_t timer;
    CHECK_EQUAL(timer_create(clock, event, &timer), 0);
    return timer;
}

static void set(timer_t timer, int flags, long long value_ns, long long interval_ns)
{
    struct itimerspec value = {{interval_ns / 1000000000, interval_ns % 1000000000},
                               {value_ns / 1000000000, value_ns % 1000000000}};
    CHECK_EQUAL(timer_settime(timer, flags, &value, NULL), 0);
}

/* What is read back of a timer that was set to stop: its interval, but not of ITIMER_REAL. */
static void stopped_interval(void)
{
    static const int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
    const struct itimerval zero = {0}, stopped = {.it_interval = {10, 20}};
    struct itimerval seen;
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(setitimer(which[i], &stopped, NULL), 0);
        CHECK_EQUAL(getitimer(which[i], &seen), 0);
        CHECK(seen.it_value.tv_sec == 0 && seen.it_value.tv_usec == 0);
        CHECK_EQUAL(seen.it_interval.tv_sec, i == 0 ? 0 : 10);
        CHECK_EQUAL(setitimer(which[i], &zero, &seen), 0);
        CHECK_EQUAL(seen.it_interval.tv_sec, i == 0 ? 0 : 10);
    }
}

static void process_signal(void)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI};
    install(SIGRTMIN);
    for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
        event.sigev_value.sival_ptr = &event;
        timer_t timer = create(clocks[i], &event);
        handled = 0;
        long long begin = check_now_ns(CLOCK_MONOTONIC);
        set(timer, 0, 2 * MS, 0);
        spin_until_handled(1);
        CHECK(handled_at - begin >= 2 * MS);
        CHECK(last_info.si_code == SI_TIMER && last_info.si_value.sival_ptr == &event);
        CHECK(last_info.si_overrun == 0 && timer_getoverrun(timer) == 0);
        handled = 0;
        long long until = check_now_ns(clocks[i]) + 2 * MS;
        set(timer, TIMER_ABSTIME, until, 0);
        spin_until_handled(1);
        CHECK(check_now_ns(clocks[i]) >= until);
        handled = 0;
        set(timer, TIMER_ABSTIME, 1, 0); /* long over */
        spin_until_handled(1);
        CHECK_EQUAL(timer_delete(timer), 0);
    }
}

static void default_event(void)
{
    install(SIGALRM);
    int first = 0, timer = 0; /* C libraries put their own event in */
    struct itimerspec soon = {{0, 0}, {0, 1}};
    CHECK_EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &first), 0);
    CHECK_EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer), 0);
    CHECK(first != timer);
    CHECK_EQUAL(syscall(SYS_timer_settime, timer, 0, &soon, NULL), 0);
    spin_until_handled(1);
    CHECK(last_info.si_timerid == timer && last_info.si_value.sival_int == timer);
    CHECK_EQUAL(syscall(SYS_timer_delete, timer), 0);
    CHECK_EQUAL(syscall(SYS_timer_delete, first), 0);
}

/* While the signal waits, periods pass: one signal, and their number. */
static void overruns(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    install(SIGUSR1);
    timer_t timer = create(CLOCK_MONOTONIC, &event);
    block(SIGUSR1, SIG_BLOCK);
    long long begin = check_now_ns(CLOCK_MONOTONIC);
    set(timer, 0, MS, MS);
    check_sleep_ms(20);
    block(SIGUSR1, SIG_UNBLOCK);
    spin_until_handled(1);
    long long passed = (check_now_ns(CLOCK_MONOTONIC) - begin) / MS;
    set(timer, 0, 0, 0);
    CHECK(handled == 1 ? last_info.si_overrun >= 18 && last_info.si_overrun <= passed : 1);
    set(timer, 0, 1000000 * MS, MS);
    CHECK_EQUAL(timer_getoverrun(timer), 0);
    handled = 0;
    stop_at_50 = &timer;
    set(timer, 0, 1, 1); /* a nanosecond: one handler after another, until one of them stops it */
    spin_until_handled(50);
    stop_at_50 = NULL;
    CHECK(handled == 50 || handled == 51);
    CHECK_EQUAL(timer_delete(timer), 0);
}

static void two_with_one_signal(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    install(SIGUSR2);
    timer_t first = create(CLOCK_MONOTONIC, &event), second = create(CLOCK_MONOTONIC, &event);
    block(SIGUSR2, SIG_BLOCK);
    set(first, 0, 1, 0);
    set(second, 0, 1, 0);
    check_sleep_ms(5);
    block(SIGUSR2, SIG_UNBLOCK);
    CHECK_EQUAL(handled, 2); /* each has its own place in the queue */
    CHECK_EQUAL(timer_delete(first), 0);
    CHECK_EQUAL(timer_delete(second), 0);
}

static void only_read(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    struct itimerspec value;
    timer_t timer = create(CLOCK_MONOTONIC, &event);
    CHECK_EQUAL(timer_gettime(timer, &value), 0);
    CHECK(value.it_value.tv_sec == 0 && value.it_value.tv_nsec == 0);
    set(timer, 0, 5000000 * MS, 7 * MS);
    CHECK_EQUAL(timer_gettime(timer, &value), 0);
    CHECK(value.it_value.tv_sec > 4000 && value.it_value.tv_sec < 5000);
    CHECK(value.it_interval.tv_sec == 0 && value.it_interval.tv_nsec == 7 * MS);
    struct itimerspec next = {{0, 0}, {0, 1}};
    CHECK_EQUAL(timer_settime(timer, 0, &next, &value), 0);
    CHECK(value.it_value.tv_sec > 4000);
    check_sleep_ms(1);
    CHECK_EQUAL(timer_gettime(timer, &value), 0);
    CHECK(value.it_value.tv_sec == 0 && value.it_value.tv_nsec == 0);
    CHECK_EQUAL(timer_delete(timer), 0);
}

static volatile int stop;
static volatile long worker;
static _Atomic int ticks;

static void tick(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    CHECK_EQUAL(syscall(SYS_gettid), worker);
    ticks++;
}

static void *spin(void *argument)
{
    check_pin(1);
    worker = syscall(SYS_gettid);
    while (!stop) {
    }
    return argument;
}

static void thread_signal(void)
{
    struct sigaction action = {.sa_sigaction = tick, .sa_flags = SA_SIGINFO};
    CHECK_EQUAL(sigaction(SIGRTMIN + 1, &action, NULL), 0);
    pthread_t thread = check_thread(spin, NULL);
    while (worker == 0) {
        sched_yield();
    }
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 1};
    event.sigev_notify_thread_id = (pid_t)worker;
    timer_t timer = create(CLOCK_MONOTONIC, &event);
    set(timer, 0, MS, MS);
    while (ticks < 5) {
        sched_yield();
    }
    stop = 1;
    check_join(thread);
    check_sleep_ms(5); /* it goes on, and nobody is there */
    CHECK_EQUAL(timer_delete(timer), 0);
    while (threads_state((int)worker) != 0) { /* gone soon after it ended */
        sched_yield();
    }
    timer_t none;
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &none), EINVAL);
}

static _Atomic int called;

static void callback(union sigval value)
{
    CHECK_EQUAL(value.sival_int, 77);
    called++;
}

static void thread_callback(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = callback};
    event.sigev_value.sival_int = 77;
    timer_t timer = create(CLOCK_MONOTONIC, &event);
    set(timer, 0, MS, MS);
    while (called < 3) {
        check_sleep_ms(1);
    }
    CHECK_EQUAL(timer_delete(timer), 0);
}

static void processor_timers(void)
{
    static const clockid_t clocks[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    install(SIGRTMIN + 2);
    for (int i = 0; i < 2; i++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
        timer_t timer = create(clocks[i], &event);
        handled = 0;
        long long begin = check_now_ns(clocks[i]);
        set(timer, 0, 6 * MS, 3 * MS);
        spin_until_handled(3);
        CHECK(check_now_ns(clocks[i]) - begin >= 12 * MS);
        CHECK_EQUAL(timer_delete(timer), 0);
    }
}

static void ignored_goes_on(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    CHECK(signal(SIGURG, SIG_IGN) != SIG_ERR);
    timer_t timer = create(CLOCK_MONOTONIC, &event);
    set(timer, 0, MS, MS);
    check_sleep_ms(10);
    install(SIGURG);
    spin_until_handled(2);
    CHECK_EQUAL(timer_delete(timer), 0);
    CHECK_EQUAL(signal(SIGURG, SIG_DFL) == SIG_ERR, 0);
}

static void errors(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    struct itimerspec bad = {{0, 0}, {0, 1000000000}}, good = {{0, 0}, {1, 0}};
    struct itimerval bad_us = {{0, 0}, {0, 1000000}}, negative = {{-1, 0}, {0, 0}};
    timer_t timer;
    int id = 0;
    CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.sigev_signo = SIGUSR1, event.sigev_notify = 99;
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, 10, NULL, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, 12345, NULL, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC_COARSE, NULL, &id), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, 8, &id), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, 8), EFAULT);
    CHECK_EQUAL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), 0);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, &bad, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, 8, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_settime, id + 1000, 0, &good, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, id + 1000, &good), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, id, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_getoverrun, id + 1000), EINVAL);
    CHECK_EQUAL(syscall(SYS_timer_delete, id), 0);
    CHECK_ERRNO(syscall(SYS_timer_delete, id), EINVAL);
    CHECK_ERRNO(setitimer(3, &bad_us, NULL), EINVAL);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &bad_us, NULL), EINVAL);
    CHECK_ERRNO(setitimer(ITIMER_REAL, &negative, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, 8, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_REAL, 8), EFAULT);
    CHECK_ERRNO(getitimer(-1, &bad_us), EINVAL);
}

static void many(void)
{
    timer_t timers[100];
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 3};
    install(SIGRTMIN + 3);
    for (int i = 0; i < 100; i++) {
        timers[i] = create(CLOCK_MONOTONIC, &event);
        set(timers[i], 0, (i * 37 % 100 + 1) * 50000L, 0);
    }
    spin_until_handled(100);
    check_sleep_ms(10);
    CHECK_EQUAL(handled, 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(timer_delete(timers[i]), 0);
    }
}

static void clock_discipline(void)
{
    struct timex state = {0};
    struct timeval left = {1, 1};
    struct timespec bad = {0, 1000000000};
    int status = adjtimex(&state);
    CHECK(status >= 0 && status <= 5 && state.tick >= 9000 && state.tick <= 11000);
    CHECK(llabs((long long)state.time.tv_sec - (long long)time(NULL)) <= 1);
    CHECK_EQUAL(adjtime(NULL, &left), 0);
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &bad), EINVAL);
    CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_adjtimex, 8), EFAULT);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"real_interval", real_interval},
        {"alarms", alarms},
        {"processor_interval", processor_interval},
        {"stopped_interval", stopped_interval},
        {"process_signal", process_signal},
        {"default_event", default_event},
        {"overruns", overruns},
        {"two_with_one_signal", two_with_one_signal},
        {"only_read", only_read},
        {"thread_signal", thread_signal},
        {"thread_callback", thread_callback},
        {"processor_timers", processor_timers},
        {"ignored_goes_on", ignored_goes_on},
        {"errors", errors},
        {"many", many},
        {"clock_discipline", clock_discipline},
    };
    return CHECK_MAIN(cases);
}
