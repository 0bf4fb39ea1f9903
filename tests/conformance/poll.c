/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select and pselect6: what is ready, what wakes, timeouts, signals and their masks,
 * many descriptors.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0001~1 ATL-LLR-EVENT-0007~1 ATL-LLR-EVENT-0008~1
 * ATL-LLR-EVENT-0009~1 ATL-LLR-EVENT-0010~1 ATL-LLR-EVENT-0012~1 ATL-LLR-POSIX-1030~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define MS 1000000LL

static int ends[2];
static volatile sig_atomic_t handled;

static void count(int signal)
{
    (void)signal;
    handled++;
}

static void install(int signal, int flags)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    handled = 0;
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

static void open_pipe(void)
{
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
}

static void close_pipe(void)
{
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static short poll_one(int descriptor, short events, int timeout)
{
    struct pollfd one = {descriptor, events, -1};
    int result = poll(&one, 1, timeout);
    CHECK_EQUAL(result, one.revents != 0);
    return one.revents;
}

static void what_is_ready(void)
{
    static char bytes[65536];
    open_pipe();
    CHECK_EQUAL(poll_one(ends[0], POLLIN | POLLOUT, 0), 0);
    CHECK_EQUAL(poll_one(ends[1], POLLIN | POLLOUT, 0), POLLOUT);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(poll_one(ends[0], POLLIN | POLLRDNORM | POLLPRI, -1), POLLIN | POLLRDNORM);
    CHECK_EQUAL(poll_one(ends[0], POLLRDNORM, -1), POLLRDNORM);
    CHECK_EQUAL(poll_one(ends[0], 0, 0), 0);
    CHECK_EQUAL(read(ends[0], bytes, 1), 1);
    CHECK_EQUAL(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(poll_one(ends[1], POLLOUT | POLLWRNORM, 0), 0);
    CHECK_EQUAL(read(ends[0], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(poll_one(ends[1], POLLOUT | POLLWRNORM, 0), POLLOUT | POLLWRNORM);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(poll_one(ends[1], POLLOUT, -1), POLLOUT | POLLERR);
    CHECK_EQUAL(poll_one(ends[1], 0, -1), POLLERR); /* always reported */
    CHECK_EQUAL(close(ends[1]), 0);
    open_pipe();
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLIN | POLLHUP);
    CHECK_EQUAL(read(ends[0], bytes, 2), 1);
    CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLHUP);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLNVAL);
    int file = open("/dev/null", O_RDWR);
    CHECK(file >= 0);
    CHECK_EQUAL(poll_one(file, POLLIN | POLLOUT, -1), POLLIN | POLLOUT);
    CHECK_EQUAL(close(file), 0);
}

static void arguments(void)
{
    struct pollfd three[3] = {{-1, POLLIN, 7}, {0, 0, 0}, {1000, POLLIN, 0}};
    struct rlimit limit;
    open_pipe();
    three[1] = (struct pollfd){ends[0], POLLIN, 0};
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(poll(three, 3, -1), 2);
    CHECK_EQUAL(three[0].revents, 0); /* negative: passed over */
    CHECK_EQUAL(three[1].revents, POLLIN);
    CHECK_EQUAL(three[2].revents, POLLNVAL);
    CHECK_EQUAL(poll(NULL, 0, 0), 0);
    CHECK_ERRNO(syscall(SYS_poll, 16, 1, 0), EFAULT);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_ERRNO(poll(three, limit.rlim_cur + 1, 0), EINVAL);
    struct timespec bad = {0, 1000000000};
    CHECK_ERRNO(syscall(SYS_ppoll, three, 1, &bad, NULL, 8), EINVAL);
    sigset_t set;
    sigemptyset(&set);
    CHECK_ERRNO(syscall(SYS_ppoll, three, 1, NULL, &set, 7), EINVAL);
    CHECK_ERRNO(syscall(SYS_ppoll, three, 1, NULL, 16, 8), EFAULT);
    struct timeval negative = {-1, 0};
    CHECK_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, &negative), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, -1, NULL, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_select, 10, 16, NULL, NULL, NULL), EFAULT);
    close_pipe();
}

static void timeouts(void)
{
    long long start = check_now_ns(CLOCK_MONOTONIC);
    open_pipe();
    CHECK_EQUAL(poll_one(ends[0], POLLIN, 20), 0);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 20 * MS);
    struct timespec time = {0, 20 * MS};
    struct pollfd one = {ends[0], POLLIN, 0};
    start = check_now_ns(CLOCK_MONOTONIC);
    CHECK_EQUAL(syscall(SYS_ppoll, &one, 1, &time, NULL, 0), 0);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 20 * MS);
    CHECK_EQUAL(time.tv_sec, 0); /* counted down to nothing */
    CHECK_EQUAL(time.tv_nsec, 0);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    time = (struct timespec){1000, 5};
    CHECK_EQUAL(syscall(SYS_ppoll, &one, 1, &time, NULL, 0), 1);
    CHECK(time.tv_sec <= 1000 && time.tv_sec > 900);
    time = (struct timespec){0, 0};
    CHECK_EQUAL(syscall(SYS_ppoll, &one, 1, &time, NULL, 0), 1);
    struct timeval rest = {1000, 1500000}; /* more than a second of microseconds is allowed */
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    CHECK_EQUAL(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &rest), 1);
    CHECK(rest.tv_sec <= 1001 && rest.tv_sec > 900 && rest.tv_usec < 1000000);
    const struct timeval *constant =
        mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_EQUAL(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, constant), 1);
    CHECK_EQUAL(munmap((void *)constant, 4096), 0);
    close_pipe();
}

static void *write_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    CHECK_EQUAL(write(*(int *)argument, "x", 1), 1);
    return NULL;
}

static void *close_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    CHECK_EQUAL(close(*(int *)argument), 0);
    return NULL;
}

static void wakes(void)
{
    char byte;
    check_pin(0);
    for (int i = 0; i < 5; i++) {
        open_pipe();
        pthread_t thread = check_thread(write_later, &ends[1]);
        CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLIN);
        check_join(thread);
        CHECK_EQUAL(read(ends[0], &byte, 1), 1);
        thread = check_thread(close_later, &ends[1]);
        CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLHUP);
        check_join(thread);
        CHECK_EQUAL(close(ends[0]), 0);
        open_pipe();
        thread = check_thread(close_later, &ends[0]);
        CHECK_EQUAL(poll_one(ends[1], 0, -1), POLLERR);
        check_join(thread);
        CHECK_EQUAL(close(ends[1]), 0);
    }
    check_unpin();
}

/* The descriptor that is waited for is closed: the wait ends with the file's event, or, as on
 * Linux, which looks at the number again then, with POLLNVAL. */
static void closed_while_waiting(void)
{
    open_pipe();
    int copy = dup(ends[0]);
    pthread_t closer = check_thread(close_later, &copy);
    pthread_t writer = check_thread(write_later, &ends[1]);
    short seen = poll_one(copy, POLLIN, -1);
    CHECK(seen == POLLIN || seen == POLLNVAL);
    check_join(closer);
    check_join(writer);
    close_pipe();
}

static pthread_t main_thread;

static void *signal_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(main_thread, SIGUSR1), 0);
    if (argument != NULL) {
        threads_await_waiting(1);
        CHECK_EQUAL(write(*(int *)argument, "x", 1), 1);
    }
    return NULL;
}

static void signals(void)
{
    struct pollfd one;
    fd_set set;
    main_thread = pthread_self();
    open_pipe();
    install(SIGUSR1, SA_RESTART); /* which poll and select do not heed */
    pthread_t thread = check_thread(signal_later, NULL);
    one = (struct pollfd){ends[0], POLLIN, 7};
    CHECK_ERRNO(poll(&one, 1, -1), EINTR);
    CHECK_EQUAL(handled, 1);
    check_join(thread);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timeval rest = {1000, 0};
    thread = check_thread(signal_later, NULL);
    CHECK_ERRNO(syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &rest), EINTR);
    CHECK_EQUAL(handled, 2);
    CHECK(FD_ISSET(ends[0], &set));
    CHECK(rest.tv_sec < 1000 && rest.tv_sec > 900);
    check_join(thread);
    install(SIGUSR1, 0);
    signal(SIGUSR1, SIG_IGN); /* an ignored signal does not end the wait */
    thread = check_thread(signal_later, &ends[1]);
    CHECK_EQUAL(poll_one(ends[0], POLLIN, -1), POLLIN);
    check_join(thread);
    close_pipe();
}

/* The mask of ppoll lets a signal in only while it waits, and the handler sees the old mask back.
 */
static void masks(void)
{
    sigset_t blocked, empty, now;
    struct pollfd one;
    struct timespec soon = {0, 5 * MS};
    open_pipe();
    one = (struct pollfd){ends[0], POLLIN, 0};
    install(SIGUSR1, 0);
    sigemptyset(&empty);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(poll(&one, 1, 5), 0);
    CHECK_EQUAL(handled, 0);
    CHECK_ERRNO(ppoll(&one, 1, NULL, &empty), EINTR);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, NULL, &now), 0);
    CHECK_EQUAL(sigismember(&now, SIGUSR1), 1);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_ERRNO(pselect(0, NULL, NULL, NULL, &soon, &empty), EINTR);
    CHECK_EQUAL(handled, 2);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(ppoll(&one, 1, NULL, &empty), 1); /* ready: the signal stays pending */
    CHECK_EQUAL(handled, 2);
    CHECK_EQUAL(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    CHECK_EQUAL(handled, 3);
    close_pipe();
}

static void select_sets(void)
{
    fd_set in, out, except;
    int other[2];
    open_pipe();
    CHECK_EQUAL(pipe(other), 0);
    CHECK_EQUAL(dup2(other[0], 900), 900);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(ends[0], &in);
    FD_SET(900, &in);
    FD_SET(ends[1], &out);
    FD_SET(ends[1], &in);
    FD_SET(ends[0], &except);
    CHECK_EQUAL(write(other[1], "x", 1), 1);
    CHECK_EQUAL(select(901, &in, &out, &except, NULL), 2);
    CHECK(!FD_ISSET(ends[0], &in) && FD_ISSET(900, &in) && !FD_ISSET(ends[1], &in));
    CHECK(FD_ISSET(ends[1], &out) && !FD_ISSET(ends[0], &except));
    FD_ZERO(&in);
    FD_SET(900, &in);
    CHECK_EQUAL(select(900, &in, NULL, NULL, &(struct timeval){0, 0}), 0); /* 900 is not below */
    CHECK_EQUAL(close(900), 0);
    FD_SET(ends[0], &in);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(select(ends[0] + 1, &in, NULL, NULL, NULL), 1);
    CHECK_EQUAL(close(other[0]), 0);
    FD_ZERO(&in);
    FD_SET(other[0], &in);
    CHECK_ERRNO(select(other[0] + 1, &in, NULL, NULL, NULL), EBADF);
    CHECK_EQUAL(close(other[1]), 0);
    close_pipe();
}

/* Two thousand pipes: one becomes ready. */
static void many(void)
{
    enum { COUNT = 2000 };
    static int all[COUNT][2];
    static struct pollfd set[COUNT];
    struct rlimit limit, old;
    char byte;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = 4096;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQUAL(pipe(all[i]), 0);
        set[i] = (struct pollfd){all[i][0], POLLIN, 0};
    }
    CHECK_EQUAL(poll(set, COUNT, 1), 0);
    for (int i = 7; i < COUNT; i += 396) {
        pthread_t thread = check_thread(write_later, &all[i][1]);
        CHECK_EQUAL(poll(set, COUNT, -1), 1);
        CHECK_EQUAL(set[i].revents, POLLIN);
        check_join(thread);
        CHECK_EQUAL(read(all[i][0], &byte, 1), 1);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQUAL(close(all[i][0]), 0);
        CHECK_EQUAL(close(all[i][1]), 0);
    }
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* Descriptors beyond FD_SETSIZE: sets of any size, as long as memory is behind them. */
static void select_beyond(void)
{
    enum { LIMIT = 10240, FAR = 10001, WORDS = LIMIT / 64 };
    static unsigned long in[WORDS], out[WORDS];
    struct rlimit limit, old;
    open_pipe();
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_ERRNO(dup2(ends[0], (int)old.rlim_cur), EBADF);
    limit = old;
    limit.rlim_cur = LIMIT;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_ERRNO(dup2(ends[0], LIMIT), EBADF);
    CHECK_EQUAL(dup2(ends[0], FAR), FAR);
    in[FAR / 64] = 1ul << FAR % 64;
    out[0] = 1ul << ends[1];
    CHECK_EQUAL(syscall(SYS_select, FAR + 1, in, out, NULL, NULL), 1);
    CHECK(in[FAR / 64] == 0 && out[0] == 1ul << ends[1]);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    in[FAR / 64] = 1ul << FAR % 64;
    CHECK_EQUAL(syscall(SYS_select, LIMIT, in, NULL, NULL, NULL), 1);
    CHECK(in[FAR / 64] == 1ul << FAR % 64);
    CHECK_EQUAL(fcntl(ends[0], F_DUPFD, FAR), FAR + 1);
    CHECK_EQUAL(close(FAR + 1), 0);
    CHECK_EQUAL(close(FAR), 0);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
    close_pipe();
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"what_is_ready", what_is_ready},
        {"arguments", arguments},
        {"timeouts", timeouts},
        {"wakes", wakes},
        {"closed_while_waiting", closed_while_waiting},
        {"signals", signals},
        {"masks", masks},
        {"select_sets", select_sets},
        {"many", many},
        {"select_beyond", select_beyond},
    };
    return CHECK_MAIN(cases);
}
