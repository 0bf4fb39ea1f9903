/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: level, edge, one shot, exclusive; nesting; errors; files that are closed while they are
 * watched; masks and signals; many files and many threads.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0001~1 ATL-LLR-EVENT-0012~1 ATL-LLR-EVENT-0020~1
 * ATL-LLR-EVENT-0021~1 ATL-LLR-EVENT-0022~1 ATL-LLR-EVENT-0023~1 ATL-LLR-EVENT-0024~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MS 1000000LL
#define PAGE 4096

static int set, ends[2];

static int control_in(int which, int operation, int descriptor, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.u64 = (uint64_t)descriptor << 32 | 7}};
    return epoll_ctl(which, operation, descriptor, &event);
}

static int control(int operation, int descriptor, uint32_t events)
{
    return control_in(set, operation, descriptor, events);
}

/* The events of the one descriptor that is ready; 0: none. */
static uint32_t ready_in(int which, int descriptor)
{
    struct epoll_event events[4];
    int count = epoll_wait(which, events, 4, 0);
    CHECK(count == 0 || count == 1);
    if (count == 0) {
        return 0;
    }
    CHECK_EQUAL(events[0].data.u64, (uint64_t)descriptor << 32 | 7);
    return events[0].events;
}

static uint32_t ready(int descriptor)
{
    return ready_in(set, descriptor);
}

static void put(void)
{
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
}

static void take(void)
{
    char byte;
    CHECK_EQUAL(read(ends[0], &byte, 1), 1);
}

static void open_all(void)
{
    set = epoll_create1(EPOLL_CLOEXEC);
    CHECK(set >= 0);
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
}

static void close_all(void)
{
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(close(set), 0);
}

static void level(void)
{
    static char bytes[65536];
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    CHECK_EQUAL(ready(ends[0]), 0);
    put();
    CHECK_EQUAL(ready(ends[0]), EPOLLIN);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* as long as it holds */
    take();
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(control(EPOLL_CTL_MOD, ends[0], 0), 0);
    put();
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLRDNORM), 0);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN | EPOLLRDNORM);
    CHECK_EQUAL(control(EPOLL_CTL_DEL, ends[0], 0), 0);
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[1], EPOLLOUT), 0);
    CHECK_EQUAL(ready(ends[1]), EPOLLOUT);
    take();
    CHECK_EQUAL(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(ready(ends[1]), 0);
    CHECK_EQUAL(read(ends[0], bytes, PAGE), PAGE);
    CHECK_EQUAL(ready(ends[1]), EPOLLOUT);
    CHECK_EQUAL(control(EPOLL_CTL_MOD, ends[1], EPOLLIN), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(ready(ends[1]), EPOLLERR); /* asked for or not */
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(ready(0), 0); /* closed files are gone from the set */
    CHECK_EQUAL(close(set), 0);
}

static void edge(void)
{
    static char bytes[65536];
    open_all();
    put();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLET), 0);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* ready when it was added */
    CHECK_EQUAL(ready(ends[0]), 0);       /* and then nothing happened */
    put();
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* each write is an edge, though it was readable before */
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(write(ends[1], "", 0), 0); /* nothing happened */
    CHECK_EQUAL(ready(ends[0]), 0);
    put();
    put();
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* two before one look are one */
    CHECK_EQUAL(ready(ends[0]), 0);
    take(); /* reading is none */
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET), 0);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* armed again while ready */
    CHECK_EQUAL(ready(ends[0]), 0);
    put();
    while (read(ends[0], bytes, sizeof(bytes)) > 0) {
    }
    CHECK_EQUAL(ready(ends[0]), 0); /* an edge, but nothing holds any more */
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLET), 0);
    CHECK_EQUAL(ready(ends[1]), EPOLLOUT);
    put();
    CHECK_EQUAL(ready(ends[0]), EPOLLIN);
    take();
    CHECK_EQUAL(ready(ends[1]), 0); /* it was never full */
    CHECK_EQUAL(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(ready(ends[0]), EPOLLIN);
    CHECK_EQUAL(read(ends[0], bytes, PAGE), PAGE);
    CHECK_EQUAL(ready(ends[1]), EPOLLOUT); /* full, then not */
    CHECK_EQUAL(read(ends[0], bytes, PAGE), PAGE);
    CHECK_EQUAL(ready(ends[1]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN | EPOLLHUP);
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(set), 0);
}

static void edge_of_event(void)
{
    uint64_t value = 1;
    int event = eventfd(0, EFD_NONBLOCK);
    set = epoll_create1(0);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, event, EPOLLIN | EPOLLOUT | EPOLLET), 0);
    CHECK_EQUAL(ready(event), EPOLLOUT);
    CHECK_EQUAL(ready(event), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(write(event, &value, 8), 8); /* every write is an edge */
        CHECK_EQUAL(ready(event), EPOLLIN | EPOLLOUT);
        CHECK_EQUAL(ready(event), 0);
    }
    CHECK_EQUAL(read(event, &value, 8), 8); /* and so is every read */
    CHECK_EQUAL(ready(event), EPOLLOUT);
    CHECK_EQUAL(ready(event), 0);
    CHECK_EQUAL(close(event), 0);
    CHECK_EQUAL(close(set), 0);
}

static void one_shot(void)
{
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN | EPOLLONESHOT), 0);
    put();
    CHECK_EQUAL(ready(ends[0]), EPOLLIN);
    put();
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(ready(ends[0]), 0); /* not even EPOLLHUP */
    CHECK_EQUAL(control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT), 0);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN | EPOLLHUP);
    CHECK_EQUAL(ready(ends[0]), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(set), 0);
}

static void errors(void)
{
    struct epoll_event event;
    int file = open("/dev/null", O_RDONLY);
    int directory = open("/", O_RDONLY);
    open_all();
    CHECK_EQUAL(fcntl(set, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(epoll_create1(1), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_create, 0), EINVAL);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, directory, EPOLLIN), EPERM);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, 999, EPOLLIN), EBADF);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, set, EPOLLIN), EINVAL);
    CHECK_ERRNO(control_in(999, EPOLL_CTL_ADD, ends[0], EPOLLIN), EBADF);
    CHECK_ERRNO(control_in(ends[1], EPOLL_CTL_ADD, ends[0], EPOLLIN), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_ctl, set, EPOLL_CTL_ADD, ends[0], 16), EFAULT);
    CHECK_ERRNO(control(EPOLL_CTL_MOD, ends[0], EPOLLIN), ENOENT);
    CHECK_ERRNO(control(EPOLL_CTL_DEL, ends[0], EPOLLIN), ENOENT);
    CHECK_ERRNO(control(17, ends[0], EPOLLIN), EINVAL);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), EEXIST);
    CHECK_ERRNO(control(EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    CHECK_ERRNO(control(EPOLL_CTL_ADD, ends[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK_ERRNO(epoll_wait(set, &event, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_epoll_wait, set, &event, -1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(ends[0], &event, 1, 0), EINVAL);
    CHECK_ERRNO(epoll_wait(999, &event, 1, 0), EBADF);
    put();
    CHECK_ERRNO(syscall(SYS_epoll_wait, set, 16, 1, 0), EFAULT);
    CHECK_EQUAL(ready(ends[0]), EPOLLIN); /* the fault took nothing */
    CHECK_ERRNO(read(set, &event, 8), EINVAL);
    CHECK_EQUAL(close(file), 0);
    CHECK_EQUAL(close(directory), 0);
    close_all();
}

/* A set keeps files, not numbers: a copy keeps the file in it, and a number may come twice. */
static void copies(void)
{
    struct epoll_event events[4];
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    int copy = dup(ends[0]);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, copy, EPOLLIN), 0); /* the same file, another number */
    put();
    CHECK_EQUAL(epoll_wait(set, events, 4, 0), 2);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(epoll_wait(set, events, 4, 0), 2); /* the closed number is still there */
    CHECK_ERRNO(control(EPOLL_CTL_DEL, ends[0], 0), EBADF);
    int other[2];
    CHECK_EQUAL(pipe(other), 0);
    CHECK_EQUAL(other[0], ends[0]);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, other[0], EPOLLIN), 0);
    CHECK_EQUAL(write(other[1], "x", 1), 1);
    CHECK_EQUAL(epoll_wait(set, events, 4, 0), 3);
    CHECK_EQUAL(close(copy), 0);
    CHECK_EQUAL(epoll_wait(set, events, 4, 0), 1);
    CHECK_EQUAL(close(other[0]), 0);
    CHECK_EQUAL(epoll_wait(set, events, 4, 0), 0);
    CHECK_EQUAL(close(other[1]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(close(set), 0);
}

static void nesting(void)
{
    enum { DEPTH = 5 };
    int sets[DEPTH + 1];
    struct pollfd one;
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    sets[0] = set;
    for (int i = 1; i <= DEPTH; i++) {
        sets[i] = epoll_create1(0);
        if (i < DEPTH) {
            CHECK_EQUAL(control_in(sets[i], EPOLL_CTL_ADD, sets[i - 1], EPOLLIN), 0);
        }
    }
    CHECK_ERRNO(control_in(sets[DEPTH], EPOLL_CTL_ADD, sets[DEPTH - 1], EPOLLIN), ELOOP);
    CHECK_ERRNO(control_in(sets[0], EPOLL_CTL_ADD, sets[2], EPOLLIN), ELOOP); /* a circle */
    CHECK_ERRNO(control_in(sets[0], EPOLL_CTL_ADD, sets[1], EPOLLIN), ELOOP);
    one = (struct pollfd){sets[DEPTH - 1], POLLIN, 0};
    CHECK_EQUAL(poll(&one, 1, 0), 0);
    put();
    CHECK_EQUAL(poll(&one, 1, -1), 1);
    CHECK_EQUAL(one.revents, POLLIN);
    CHECK_EQUAL(ready_in(sets[DEPTH - 1], sets[DEPTH - 2]), EPOLLIN);
    CHECK_EQUAL(ready_in(sets[1], sets[0]), EPOLLIN);
    take();
    CHECK_EQUAL(ready_in(sets[DEPTH - 1], sets[DEPTH - 2]), 0);
    put();
    CHECK_EQUAL(ready_in(sets[DEPTH - 1], sets[DEPTH - 2]), EPOLLIN);
    CHECK_EQUAL(close(sets[2]), 0); /* breaks the chain in the middle */
    CHECK_EQUAL(ready_in(sets[DEPTH - 1], sets[DEPTH - 2]), 0);
    CHECK_EQUAL(ready_in(sets[1], sets[0]), EPOLLIN);
    for (int i = 1; i <= DEPTH; i++) {
        CHECK(i == 2 || close(sets[i]) == 0);
    }
    close_all();
}

static void *put_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    put();
    return argument;
}

static void waits(void)
{
    struct epoll_event event;
    struct timespec time = {0, 20 * MS};
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    long long start = check_now_ns(CLOCK_MONOTONIC);
    CHECK_EQUAL(epoll_wait(set, &event, 1, 20), 0);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 20 * MS);
    start = check_now_ns(CLOCK_MONOTONIC);
    CHECK_EQUAL(syscall(SYS_epoll_pwait2, set, &event, 1, &time, NULL, 0), 0);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 20 * MS);
    CHECK_EQUAL(time.tv_nsec, 20 * MS);
    time.tv_nsec = 1000 * MS;
    CHECK_ERRNO(syscall(SYS_epoll_pwait2, set, &event, 1, &time, NULL, 0), EINVAL);
    for (int i = 0; i < 5; i++) {
        pthread_t thread = check_thread(put_later, NULL);
        CHECK_EQUAL(epoll_wait(set, &event, 1, -1), 1);
        CHECK_EQUAL(event.events, EPOLLIN);
        check_join(thread);
        take();
    }
    close_all();
}

static void *add_later(void *argument)
{
    threads_await_waiting(1);
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    return argument;
}

static void *close_later(void *argument)
{
    threads_await_waiting(1);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(set), 0);
    return argument;
}

/* The set changes under a waiting thread; then file and set are closed under it. */
static void changes_while_waiting(void)
{
    struct epoll_event event;
    open_all();
    put();
    pthread_t thread = check_thread(add_later, NULL);
    CHECK_EQUAL(epoll_wait(set, &event, 1, -1), 1);
    check_join(thread);
    take();
    thread = check_thread(close_later, NULL);
    CHECK_EQUAL(epoll_wait(set, &event, 1, 100), 0);
    check_join(thread);
    CHECK_EQUAL(close(ends[1]), 0);
}

static volatile sig_atomic_t handled;
static pthread_t main_thread;

static void count_signal(int signal)
{
    (void)signal;
    handled++;
}

static void *signal_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(main_thread, SIGUSR1), 0);
    return argument;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    struct epoll_event event;
    sigset_t blocked, empty;
    sigemptyset(&empty);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    main_thread = pthread_self();
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    pthread_t thread = check_thread(signal_later, NULL);
    CHECK_ERRNO(epoll_wait(set, &event, 1, -1), EINTR); /* SA_RESTART does not matter */
    check_join(thread);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(epoll_wait(set, &event, 1, 5), 0);
    CHECK_EQUAL(handled, 1);
    CHECK_ERRNO(epoll_pwait(set, &event, 1, -1, &empty), EINTR);
    CHECK_EQUAL(handled, 2);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    put();
    CHECK_EQUAL(epoll_pwait(set, &event, 1, -1, &empty), 1);
    CHECK_EQUAL(handled, 2);
    CHECK_EQUAL(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    CHECK_EQUAL(handled, 3);
    CHECK_ERRNO(syscall(SYS_epoll_pwait, set, &event, 1, 0, &empty, 4), EINVAL);
    close_all();
}

/* Each core's thread takes its share of the events of one set with one-shot items: none is handled
 * by two threads, none is lost. */
enum { FILES = 16 };
static int files[FILES][2];
static _Atomic int busy[FILES];
static _Atomic long events_taken;

static void *serve(void *argument)
{
    check_pin((int)(long)argument);
    for (;;) {
        struct epoll_event event;
        char byte;
        int count = epoll_wait(set, &event, 1, -1);
        CHECK_EQUAL(count, 1);
        int index = (int)event.data.u64;
        CHECK_EQUAL(atomic_exchange(&busy[index], 1), 0);
        CHECK_EQUAL(read(files[index][0], &byte, 1), 1);
        if (byte == 'q') {
            atomic_store(&busy[index], 0);
            event.events = EPOLLIN | EPOLLONESHOT;
            CHECK_EQUAL(epoll_ctl(set, EPOLL_CTL_MOD, files[index][0], &event), 0);
            return argument;
        }
        atomic_fetch_add(&events_taken, 1);
        atomic_store(&busy[index], 0);
        event.events = EPOLLIN | EPOLLONESHOT;
        CHECK_EQUAL(epoll_ctl(set, EPOLL_CTL_MOD, files[index][0], &event), 0);
    }
}

static void *feed(void *argument)
{
    check_pin((int)(long)argument);
    for (long i = 0; i < check_count(300); i++) {
        CHECK_EQUAL(write(files[((long)argument * 7 + i) % FILES][1], "x", 1), 1);
    }
    return argument;
}

static void many_threads(void)
{
    pthread_t servers[4], feeders[4];
    set = epoll_create1(0);
    for (int i = 0; i < FILES; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = (uint64_t)i}};
        CHECK_EQUAL(pipe(files[i]), 0);
        CHECK_EQUAL(epoll_ctl(set, EPOLL_CTL_ADD, files[i][0], &event), 0);
    }
    for (long i = 0; i < 4; i++) {
        servers[i] = check_thread(serve, (void *)i);
        feeders[i] = check_thread(feed, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(feeders[i]);
    }
    while (atomic_load(&events_taken) < 4 * check_count(300)) {
        check_sleep_ms(1);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(write(files[i][1], "q", 1), 1);
    }
    for (int i = 0; i < 4; i++) {
        check_join(servers[i]);
    }
    CHECK_EQUAL(events_taken, 4 * check_count(300));
    for (int i = 0; i < FILES; i++) {
        CHECK_EQUAL(close(files[i][0]), 0);
        CHECK_EQUAL(close(files[i][1]), 0);
    }
    CHECK_EQUAL(close(set), 0);
}

static _Atomic int exclusive_woken;

static void *wait_exclusively(void *argument)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int own = epoll_create1(0);
    CHECK_EQUAL(epoll_ctl(own, EPOLL_CTL_ADD, ends[0], &event), 0);
    CHECK_EQUAL(epoll_wait(own, &event, 1, -1), 1);
    atomic_fetch_add(&exclusive_woken, 1);
    CHECK_EQUAL(close(own), 0);
    return argument;
}

/* Puts a byte, and waits until so many threads have returned. */
static void put_for(int count)
{
    put();
    while (atomic_load(&exclusive_woken) < count) {
        sched_yield();
    }
}

/* Several sets wait exclusively for one file: one write wakes one of them at least, and not all. */
static void exclusive(void)
{
    pthread_t threads[4];
    open_all();
    for (int i = 0; i < 4; i++) {
        threads[i] = check_thread(wait_exclusively, NULL);
    }
    threads_await_waiting(4);
    put_for(1);
    check_sleep_ms(10); /* for those that would be woken in vain */
    CHECK(exclusive_woken < 4);
    for (int i = 2; i <= 4; i++) {
        put_for(i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    close_all();
}

/* Files are closed and opened while another thread waits for them. */
static _Atomic int churn_stop;

static void *churn(void *argument)
{
    check_pin(1);
    for (long i = 0; i < check_count(300); i++) {
        int pair[2];
        CHECK_EQUAL(pipe(pair), 0);
        CHECK_EQUAL(control(EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLET), 0);
        CHECK_EQUAL(write(pair[1], "x", 1), 1);
        CHECK_EQUAL(close(pair[i % 2]), 0);
        CHECK_EQUAL(close(pair[1 - i % 2]), 0);
    }
    atomic_store(&churn_stop, 1);
    put();
    return argument;
}

static void closing_races(void)
{
    open_all();
    CHECK_EQUAL(control(EPOLL_CTL_ADD, ends[0], EPOLLIN), 0);
    pthread_t thread = check_thread(churn, NULL);
    check_pin(0);
    while (!atomic_load(&churn_stop)) {
        struct epoll_event events[8];
        int count = epoll_wait(set, events, 8, -1);
        CHECK(count >= 1 && count <= 8);
        for (int i = 0; i < count; i++) {
            CHECK((events[i].events & ~(uint32_t)(EPOLLIN | EPOLLHUP)) == 0);
        }
    }
    check_join(thread);
    check_unpin();
    close_all();
}

/* Thousands of files in one set, and all of them ready. */
static void thousands(void)
{
    enum { COUNT = 3000 };
    static int events[COUNT];
    static struct epoll_event got[COUNT];
    static char seen[COUNT];
    struct rlimit limit, old;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = 4096;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    set = epoll_create(1);
    for (int i = 0; i < COUNT; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = (uint32_t)i}};
        events[i] = eventfd(0, 0);
        CHECK_EQUAL(epoll_ctl(set, EPOLL_CTL_ADD, events[i], &event), 0);
    }
    CHECK_EQUAL(epoll_wait(set, got, COUNT, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        uint64_t one = 1;
        CHECK_EQUAL(write(events[i], &one, 8), 8);
    }
    CHECK_EQUAL(epoll_wait(set, got, 100, 0), 100);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(got[i].data.u32, i); /* in the order of their events */
    }
    CHECK_EQUAL(epoll_wait(set, got, 100, 0), 100);
    CHECK_EQUAL(got[0].data.u32, 100); /* and then the next ones, not the same again */
    CHECK_EQUAL(epoll_wait(set, got, COUNT, 0), COUNT);
    for (int i = 0; i < COUNT; i++) {
        CHECK(!seen[got[i].data.u32]);
        seen[got[i].data.u32] = 1;
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQUAL(close(events[i]), 0);
    }
    CHECK_EQUAL(epoll_wait(set, got, COUNT, 0), 0);
    CHECK_EQUAL(close(set), 0);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"level", level},
        {"edge", edge},
        {"edge_of_event", edge_of_event},
        {"one_shot", one_shot},
        {"errors", errors},
        {"copies", copies},
        {"nesting", nesting},
        {"waits", waits},
        {"changes_while_waiting", changes_while_waiting},
        {"signals", signals},
        {"many_threads", many_threads},
        {"exclusive", exclusive},
        {"closing_races", closing_races},
        {"thousands", thousands},
    };
    return CHECK_MAIN(cases);
}
