/* SPDX-License-Identifier: Apache-2.0 */
/* Named pipes: who waits for whom when they are opened, what is read and polled as writers come and
 * go, what the node looks like. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0161~1 ATL-LLR-EVENT-0060~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static char path[64];
static sem_t ready;
static _Atomic int opened;

static void make(void)
{
    snprintf(path, sizeof(path), "/tmp/fifo.%d", (int)getpid());
    unlink(path);
    CHECK_EQUAL(mkfifo(path, 0640), 0);
}

static int open_now(int flags)
{
    int descriptor = open(path, flags);
    CHECK(descriptor >= 0);
    return descriptor;
}

static short poll_of(int descriptor, short events)
{
    struct pollfd wait = {.fd = descriptor, .events = events};
    CHECK(poll(&wait, 1, 0) >= 0);
    return wait.revents;
}

static void *open_other(void *flags)
{
    sem_post(&ready);
    int descriptor = open_now((int)(intptr_t)flags);
    opened = 1;
    return (void *)(intptr_t)descriptor;
}

/* Both orders; the first one waits, which shows when the second has come. */
static void opening_waits(void)
{
    static const int flags[2] = {O_RDONLY, O_WRONLY};
    char bytes[8];
    make();
    for (int first = 0; first < 2; first++) {
        opened = 0;
        CHECK_EQUAL(sem_init(&ready, 0, 0), 0);
        pthread_t other = check_thread(open_other, (void *)(intptr_t)flags[first]);
        CHECK_EQUAL(sem_wait(&ready), 0);
        threads_await_waiting(1);
        CHECK_EQUAL(opened, 0);
        int mine = open_now(flags[1 - first]);
        int theirs = (int)(intptr_t)check_join(other);
        int reader = first == 0 ? theirs : mine;
        int writer = first == 0 ? mine : theirs;
        CHECK_EQUAL(write(writer, "hello", 5), 5);
        CHECK_EQUAL(read(reader, bytes, sizeof(bytes)), 5);
        CHECK_EQUAL(memcmp(bytes, "hello", 5), 0);
        CHECK_EQUAL(close(writer), 0);
        CHECK_EQUAL(read(reader, bytes, sizeof(bytes)), 0);
        CHECK_EQUAL(close(reader), 0);
    }
    CHECK_EQUAL(unlink(path), 0);
}

static void opening_without_waiting(void)
{
    char bytes[8];
    make();
    CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
    int reader = open_now(O_RDONLY | O_NONBLOCK);
    CHECK_EQUAL(read(reader, bytes, 8), 0);
    CHECK_EQUAL(poll_of(reader, POLLIN), 0); /* nobody has hung up yet */
    int writer = open_now(O_WRONLY | O_NONBLOCK);
    CHECK_ERRNO(read(reader, bytes, 8), EAGAIN);
    CHECK_EQUAL(poll_of(writer, POLLOUT), POLLOUT);
    CHECK_EQUAL(write(writer, "x", 1), 1);
    CHECK_EQUAL(poll_of(reader, POLLIN), POLLIN);
    CHECK_EQUAL(close(writer), 0);
    CHECK_EQUAL(poll_of(reader, POLLIN), POLLIN | POLLHUP);
    CHECK_EQUAL(read(reader, bytes, 8), 1);
    CHECK_EQUAL(poll_of(reader, POLLIN), POLLHUP);
    writer = open_now(O_WRONLY);
    CHECK_EQUAL(poll_of(reader, POLLIN), 0);
    CHECK_EQUAL(close(reader), 0);
    CHECK_EQUAL(poll_of(writer, POLLOUT) & POLLERR, POLLERR);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(writer, "x", 1), EPIPE);
    CHECK_EQUAL(close(writer), 0);
    CHECK_EQUAL(unlink(path), 0);
}

static void both_ways_and_many(void)
{
    char bytes[16];
    make();
    int both = open_now(O_RDWR);
    int first = open_now(O_WRONLY);
    int second = open_now(O_WRONLY | O_APPEND | O_TRUNC);
    int reader = open_now(O_RDONLY);
    CHECK_EQUAL(write(first, "one", 3), 3);
    CHECK_EQUAL(write(second, "two", 3), 3);
    CHECK_EQUAL(write(both, "three", 5), 5);
    CHECK_EQUAL(unlink(path), 0); /* it works without a name */
    int count = 0;
    CHECK_EQUAL(ioctl(both, FIONREAD, &count), 0);
    CHECK_EQUAL(count, 11);
    CHECK_EQUAL(read(reader, bytes, 4), 4);
    CHECK_EQUAL(read(both, bytes + 4, 12), 7);
    CHECK_EQUAL(memcmp(bytes, "onetwothree", 11), 0);
    CHECK_EQUAL(close(first), 0);
    CHECK_EQUAL(close(second), 0);
    CHECK_EQUAL(poll_of(reader, POLLIN), 0); /* one can still write */
    CHECK_EQUAL(close(both), 0);
    CHECK_EQUAL(poll_of(reader, POLLIN), POLLHUP);
    CHECK_EQUAL(close(reader), 0);
}

static void the_node(void)
{
    struct stat status;
    make();
    CHECK_EQUAL(stat(path, &status), 0);
    CHECK(S_ISFIFO(status.st_mode));
    CHECK_EQUAL(status.st_mode & 07777, 0640);
    CHECK_EQUAL(status.st_size, 0);
    CHECK_ERRNO(mkfifo(path, 0600), EEXIST);
    CHECK_ERRNO(truncate(path, 0), EINVAL);
    CHECK_ERRNO(open(path, O_RDONLY | O_DIRECTORY), ENOTDIR);
    int both = open_now(O_RDWR);
    struct stat of_open;
    CHECK_EQUAL(fstat(both, &of_open), 0);
    CHECK(of_open.st_ino == status.st_ino && of_open.st_dev == status.st_dev);
    CHECK_ERRNO(lseek(both, 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(ftruncate(both, 0), EINVAL);
    CHECK_EQUAL(fcntl(both, F_GETPIPE_SZ), 65536);
    CHECK_EQUAL(write(both, "gone", 4), 4);
    CHECK_EQUAL(close(both), 0);
    both = open_now(O_RDWR | O_NONBLOCK); /* what nobody read went with the last one */
    char byte;
    CHECK_ERRNO(read(both, &byte, 1), EAGAIN);
    CHECK_EQUAL(close(both), 0);
    char moved[80];
    snprintf(moved, sizeof(moved), "%s.moved", path);
    CHECK_EQUAL(rename(path, moved), 0);
    CHECK_EQUAL(unlink(moved), 0);
}

static void on_signal(int signal)
{
    (void)signal;
}

static void *interrupt(void *thread)
{
    while (opened == 0) {
        CHECK_EQUAL(pthread_kill(*(pthread_t *)thread, SIGUSR1), 0);
        check_sleep_ms(1);
    }
    return NULL;
}

static void a_signal_ends_the_wait(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    make();
    opened = 0;
    pthread_t self = pthread_self();
    pthread_t other = check_thread(interrupt, &self);
    CHECK_ERRNO(open(path, O_RDONLY), EINTR);
    opened = 1;
    check_join(other);
    CHECK_ERRNO(open(path, O_WRONLY | O_NONBLOCK), ENXIO); /* the reader never was */
    CHECK_EQUAL(unlink(path), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"opening_waits", opening_waits},
        {"opening_without_waiting", opening_without_waiting},
        {"both_ways_and_many", both_ways_and_many},
        {"the_node", the_node},
        {"a_signal_ends_the_wait", a_signal_ends_the_wait},
    };
    return CHECK_MAIN(cases);
}
