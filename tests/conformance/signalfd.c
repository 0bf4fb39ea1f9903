/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd: signals of the process and of one thread, queued values, waiting, epoll, changed sets.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0032~1 ATL-LLR-EVENT-0033~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

static int file;

static sigset_t set_of(int first, int second)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    return set;
}

static void block(void)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    sigaddset(&set, SIGRTMIN);
    CHECK_EQUAL(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static void open_file(int flags)
{
    sigset_t set = set_of(SIGUSR1, SIGRTMIN);
    block();
    file = signalfd(-1, &set, flags);
    CHECK(file >= 0);
}

static struct signalfd_siginfo take(void)
{
    struct signalfd_siginfo info;
    CHECK_EQUAL(read(file, &info, sizeof(info)), sizeof(info));
    return info;
}

static int is_ready(void)
{
    struct pollfd one = {file, POLLIN, 0};
    return poll(&one, 1, 0);
}

static void records(void)
{
    struct signalfd_siginfo many[4];
    open_file(SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK_EQUAL(fcntl(file, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(is_ready(), 0);
    CHECK_ERRNO(read(file, many, sizeof(many)), EAGAIN);
    CHECK_ERRNO(read(file, many, sizeof(many[0]) - 1), EINVAL);
    CHECK_EQUAL(kill(getpid(), SIGUSR1), 0);
    CHECK_EQUAL(is_ready(), 1);
    struct signalfd_siginfo one = take();
    CHECK_EQUAL(one.ssi_signo, SIGUSR1);
    CHECK_EQUAL(one.ssi_code, SI_USER);
    CHECK_EQUAL(one.ssi_pid, getpid());
    CHECK_EQUAL(one.ssi_uid, getuid());
    CHECK_EQUAL(is_ready(), 0);
    for (int i = 1; i <= 3; i++) {
        union sigval value = {.sival_int = 100 + i};
        CHECK_EQUAL(sigqueue(getpid(), SIGRTMIN, value), 0);
    }
    CHECK_EQUAL(kill(getpid(), SIGUSR2), 0); /* not in the set: stays pending */
    CHECK_EQUAL(read(file, many, sizeof(many)), 3 * sizeof(many[0]));
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(many[i].ssi_signo, SIGRTMIN);
        CHECK_EQUAL(many[i].ssi_code, SI_QUEUE);
        CHECK_EQUAL(many[i].ssi_int, 101 + i);
    }
    sigset_t other = set_of(SIGUSR2, SIGUSR2);
    CHECK_EQUAL(signalfd(file, &other, 0), file);
    CHECK_EQUAL(take().ssi_signo, SIGUSR2);
    CHECK_EQUAL(close(file), 0);
}

static void errors(void)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR1);
    CHECK_ERRNO(signalfd(-1, &set, 1), EINVAL);
    CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
    CHECK_ERRNO(signalfd(999, &set, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, 16, 8, 0), EFAULT);
    open_file(0);
    CHECK_ERRNO(write(file, &set, 8), EINVAL);
    CHECK_EQUAL(close(file), 0);
}

static pthread_t main_thread;

static void *send_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    if (argument != NULL) {
        CHECK_EQUAL(kill(getpid(), SIGUSR1), 0);
    } else {
        CHECK_EQUAL(pthread_kill(main_thread, SIGUSR1), 0);
    }
    return NULL;
}

/* A blocked read and a wait in epoll; for the process and for this thread. */
static void waiting(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    main_thread = pthread_self();
    open_file(0);
    int all = epoll_create1(0);
    CHECK_EQUAL(epoll_ctl(all, EPOLL_CTL_ADD, file, &event), 0);
    for (int i = 0; i < 2; i++) {
        pthread_t thread = check_thread(send_later, i == 0 ? &all : NULL);
        struct signalfd_siginfo one = take();
        CHECK_EQUAL(one.ssi_signo, SIGUSR1);
        CHECK_EQUAL(one.ssi_code, i == 0 ? SI_USER : SI_TKILL);
        check_join(thread);
        thread = check_thread(send_later, i == 0 ? &all : NULL);
        CHECK_EQUAL(epoll_wait(all, &event, 1, -1), 1);
        CHECK_EQUAL(take().ssi_signo, SIGUSR1);
        check_join(thread);
    }
    CHECK_EQUAL(close(all), 0);
    CHECK_EQUAL(close(file), 0);
}

static void *look(void *argument)
{
    struct signalfd_siginfo info;
    CHECK_EQUAL(is_ready(), 0); /* it is for another thread */
    CHECK_ERRNO(read(file, &info, sizeof(info)), EAGAIN);
    return argument;
}

static void of_one_thread(void)
{
    open_file(SFD_NONBLOCK);
    CHECK_EQUAL(pthread_kill(pthread_self(), SIGUSR1), 0);
    check_join(check_thread(look, NULL));
    CHECK_EQUAL(is_ready(), 1);
    CHECK_EQUAL(take().ssi_signo, SIGUSR1);
    CHECK_EQUAL(close(file), 0);
}

/* Readers on all cores share what one thread sends: each value arrives once. */
static _Atomic long sum;

static void *read_values(void *argument)
{
    check_pin((int)(long)argument);
    for (;;) {
        struct signalfd_siginfo one = take();
        if (one.ssi_int == 0) {
            return argument;
        }
        sum += one.ssi_int;
    }
}

static void many_readers(void)
{
    pthread_t threads[3];
    long expected = 0;
    open_file(0);
    for (long i = 0; i < 3; i++) {
        threads[i] = check_thread(read_values, (void *)i);
    }
    for (int i = 1; i <= check_count(300) + 3; i++) {
        int number = i <= check_count(300) ? i : 0;
        union sigval value = {.sival_int = number};
        while (sigqueue(getpid(), SIGRTMIN, value) != 0) {
            CHECK_EQUAL(errno, EAGAIN);
            sched_yield();
        }
        expected += number;
    }
    for (int i = 0; i < 3; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(sum, expected);
    CHECK_EQUAL(close(file), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"records", records},           {"errors", errors},
        {"waiting", waiting},           {"of_one_thread", of_one_thread},
        {"many_readers", many_readers},
    };
    return CHECK_MAIN(cases);
}
