/* SPDX-License-Identifier: Apache-2.0 */
/* Works of refused.c with threads, signals, time and events. Each returns 0 or the errno of what
 * failed, and has undone all that it did. */
#ifndef REFUSED_THREADS_H
#define REFUSED_THREADS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* What says that data or an effect was wrong: no call here fails with it. */
#define WRONG EBADMSG
/* The errno of a call that returned a negative value, else 0. */
#define ERROR_OF(call) ((call) < 0 ? errno : 0)
#define MS 1000000L

static int first_error(int error, int later)
{
    return error != 0 ? error : later;
}

static int keep_descriptor(int *descriptor, int got)
{
    *descriptor = got;
    return ERROR_OF(got);
}

static void close_if_open(int descriptor)
{
    if (descriptor >= 0) {
        close(descriptor);
    }
}

/* ---- threads */

#define THREADS 3

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int arrived, expected;
} meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

/* On another core where there is one; waits for all that could be made. */
static void *meet(void *argument)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(intptr_t)argument % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    int error = ERROR_OF(sched_setaffinity(0, sizeof(set), &set));
    pthread_mutex_lock(&meeting.lock);
    meeting.arrived++;
    pthread_cond_broadcast(&meeting.changed);
    while (meeting.arrived < meeting.expected) {
        pthread_cond_wait(&meeting.changed, &meeting.lock);
    }
    pthread_mutex_unlock(&meeting.lock);
    return (void *)(intptr_t)error;
}

static int work_threads(void)
{
    pthread_t threads[THREADS];
    int error = 0, made = 0;
    meeting.arrived = 0;
    meeting.expected = THREADS;
    while (made < THREADS && error == 0) {
        error = pthread_create(&threads[made], NULL, meet, (void *)(intptr_t)made);
        made += error == 0;
    }
    pthread_mutex_lock(&meeting.lock);
    meeting.expected = made;
    pthread_cond_broadcast(&meeting.changed);
    pthread_mutex_unlock(&meeting.lock);
    for (int i = 0; i < made; i++) {
        void *result;
        pthread_join(threads[i], &result);
        error = first_error(error, (int)(intptr_t)result);
    }
    return first_error(error, meeting.arrived == made ? 0 : WRONG);
}

/* ---- waiting with a limit: of all kinds at once, by one thread each */

static struct timespec soon(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += MS;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

static int expect_end(int error)
{
    return error == ETIMEDOUT ? 0 : error == 0 ? WRONG : error;
}

static int wait_futex(void)
{
    static int word;
    const struct timespec limit = {0, MS};
    return expect_end(ERROR_OF(syscall(SYS_futex, &word, 128, 0, &limit, NULL, 0)));
}

static int wait_condition(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    const struct timespec limit = soon(CLOCK_REALTIME);
    pthread_mutex_lock(&lock);
    int error = pthread_cond_timedwait(&never, &lock, &limit);
    pthread_mutex_unlock(&lock);
    return expect_end(error);
}

static int wait_sleep(void)
{
    const struct timespec limit = soon(CLOCK_MONOTONIC);
    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &limit, NULL);
}

static int wait_poll(void)
{
    int event = eventfd(0, EFD_CLOEXEC);
    struct pollfd set[20];
    for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
        set[i] = (struct pollfd){.fd = event, .events = POLLIN};
    }
    int error = ERROR_OF(event);
    if (error == 0) {
        error = ERROR_OF(poll(set, sizeof(set) / sizeof(set[0]), 1));
    }
    close_if_open(event);
    return error;
}

static void *wait_one(void *argument)
{
    int (*wait)(void) = *(int (**)(void))argument;
    return (void *)(intptr_t)wait();
}

static int work_waiting(void)
{
    static int (*waits[])(void) = {wait_futex, wait_condition, wait_sleep, wait_poll};
    pthread_t threads[4];
    int error = 0, made = 0;
    while (made < 4 && error == 0) {
        error = pthread_create(&threads[made], NULL, wait_one, &waits[made]);
        made += error == 0;
    }
    for (int i = 0; i < made; i++) {
        void *result;
        pthread_join(threads[i], &result);
        error = first_error(error, (int)(intptr_t)result);
    }
    return error;
}

/* ---- signals */

static volatile sig_atomic_t delivered;

static void deliver(int number, siginfo_t *information, void *context)
{
    (void)number;
    (void)context;
    delivered += information->si_value.sival_int;
}

/* Queues five, takes two by waiting and three by a handler on a stack of its own. */
static int queue_and_take(const sigset_t *set)
{
    int error = 0, sum = 0, queued = 0;
    siginfo_t information;
    const struct timespec none = {0};
    for (int i = 1; i <= 5 && error == 0; i++) {
        error = ERROR_OF(sigqueue(getpid(), SIGRTMIN + i % 2, (union sigval){.sival_int = i}));
        queued += error == 0 ? i : 0;
    }
    for (int i = 0; i < 2 && sigtimedwait(set, &information, &none) > 0; i++) {
        sum += information.si_value.sival_int;
    }
    delivered = 0;
    sigprocmask(SIG_UNBLOCK, set, NULL);
    return first_error(error, sum + delivered == queued ? 0 : WRONG);
}

static int work_signals(void)
{
    static char stack_bytes[16384];
    const stack_t stack = {.ss_sp = stack_bytes, .ss_size = sizeof(stack_bytes)};
    const stack_t no_stack = {.ss_flags = SS_DISABLE};
    struct sigaction action = {.sa_sigaction = deliver, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    int error = ERROR_OF(sigaltstack(&stack, NULL));
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigaction(SIGRTMIN, &action, NULL);
    sigaction(SIGRTMIN + 1, &action, NULL);
    error = first_error(error, queue_and_take(&set));
    sigaltstack(&no_stack, NULL);
    return error;
}

/* ---- timers */

static int work_timers(void)
{
    const struct itimerspec once = {.it_value = {0, MS}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    timer_t timers[3];
    int error = 0, made = 0;
    siginfo_t information;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (made < 3 && error == 0) {
        event.sigev_value.sival_int = made;
        error = ERROR_OF(timer_create(CLOCK_MONOTONIC, &event, &timers[made]));
        made += error == 0;
    }
    for (int i = 0; i < made; i++) {
        int started = ERROR_OF(timer_settime(timers[i], 0, &once, NULL));
        if (started == 0 && sigwaitinfo(&set, &information) != SIGRTMIN) {
            started = WRONG;
        }
        error = first_error(error, started);
    }
    for (int i = 0; i < made; i++) {
        timer_delete(timers[i]);
    }
    const struct itimerval interval = {.it_value = {0, 1000}};
    int started = ERROR_OF(setitimer(ITIMER_REAL, &interval, NULL));
    if (started == 0 && sigwaitinfo(&set, &information) != SIGALRM) {
        started = WRONG;
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return first_error(error, started);
}

/* ---- descriptors that wait for something */

struct events {
    int epoll, event, timer, signal, nested;
};

static int events_make(struct events *all)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    int error = keep_descriptor(&all->epoll, epoll_create1(EPOLL_CLOEXEC));
    error = first_error(error, keep_descriptor(&all->event, eventfd(0, EFD_NONBLOCK)));
    error = first_error(error, keep_descriptor(&all->timer, timerfd_create(CLOCK_MONOTONIC, 0)));
    error = first_error(error, keep_descriptor(&all->signal, signalfd(-1, &set, SFD_NONBLOCK)));
    return first_error(error, keep_descriptor(&all->nested, epoll_create1(0)));
}

static int events_watch(const struct events *all)
{
    const struct itimerspec soon_once = {.it_value = {0, MS}};
    int watched[] = {all->event, all->timer, all->signal, all->nested};
    struct epoll_event event = {.events = EPOLLIN};
    int error = 0;
    for (int i = 0; i < 4 && error == 0; i++) {
        event.data.fd = watched[i];
        error = ERROR_OF(epoll_ctl(all->epoll, EPOLL_CTL_ADD, watched[i], &event));
    }
    event.data.fd = all->event;
    error = first_error(error, ERROR_OF(epoll_ctl(all->nested, EPOLL_CTL_ADD, all->event, &event)));
    return first_error(error, ERROR_OF(timerfd_settime(all->timer, 0, &soon_once, NULL)));
}

/* The timer, the event and the nested set must be seen, in as many waits as it takes. */
static int events_wait(const struct events *all)
{
    struct epoll_event ready[4];
    unsigned seen = 0;
    uint64_t one = 1;
    if (write(all->event, &one, sizeof(one)) < 0) {
        return errno;
    }
    while (seen != 7) {
        int count = epoll_wait(all->epoll, ready, 4, 5);
        if (count < 0) {
            return errno;
        }
        for (int r = 0; r < count; r++) {
            int from = ready[r].data.fd;
            seen |= from == all->event    ? 1u
                    : from == all->timer  ? 2u
                    : from == all->nested ? 4u
                                          : 8u;
        }
    }
    fd_set set;
    struct timeval now = {0};
    FD_ZERO(&set);
    FD_SET(all->event, &set);
    int selected = select(all->event + 1, &set, NULL, NULL, &now);
    return selected < 0 ? errno : seen == 7 && selected == 1 ? 0 : WRONG;
}

static int work_events(void)
{
    struct events all = {-1, -1, -1, -1, -1};
    int error = events_make(&all);
    error = first_error(error, error == 0 ? events_watch(&all) : 0);
    error = first_error(error, error == 0 ? events_wait(&all) : 0);
    if (all.epoll >= 0 && all.event >= 0) {
        epoll_ctl(all.epoll, EPOLL_CTL_DEL, all.event, NULL);
    }
    close_if_open(all.event);
    close_if_open(all.timer);
    close_if_open(all.signal);
    close_if_open(all.nested);
    close_if_open(all.epoll);
    return error;
}

#endif
