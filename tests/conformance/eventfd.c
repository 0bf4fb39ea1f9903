/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd: counter and semaphore, limits, blocking on both sides, many threads.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0006~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LARGEST (UINT64_MAX - 1)

static int event;

static uint64_t take(void)
{
    uint64_t value = 0;
    CHECK_EQUAL(read(event, &value, sizeof(value)), sizeof(value));
    return value;
}

static void give(uint64_t value)
{
    CHECK_EQUAL(write(event, &value, sizeof(value)), sizeof(value));
}

static short ready(void)
{
    struct pollfd one = {event, POLLIN | POLLOUT, 0};
    CHECK(poll(&one, 1, 0) >= 0);
    return one.revents;
}

static void counter(void)
{
    uint64_t values[2] = {UINT64_MAX, 0};
    struct stat stat;
    event = eventfd(7, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(event >= 0);
    CHECK_EQUAL(fcntl(event, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(event, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQUAL(ready(), POLLIN | POLLOUT);
    CHECK_EQUAL(take(), 7);
    CHECK_EQUAL(ready(), POLLOUT);
    CHECK_ERRNO(read(event, values, 8), EAGAIN);
    give(3);
    give(4);
    CHECK_EQUAL(read(event, values, sizeof(values)), 8);
    CHECK_EQUAL(values[0], 7);
    CHECK_ERRNO(read(event, values, 7), EINVAL);
    CHECK_ERRNO(write(event, values, 7), EINVAL);
    values[0] = UINT64_MAX;
    CHECK_ERRNO(write(event, values, 8), EINVAL);
    give(LARGEST);
    CHECK_EQUAL(ready(), POLLIN);
    values[0] = 1;
    CHECK_ERRNO(write(event, values, 8), EAGAIN);
    give(0);
    CHECK_EQUAL(take(), LARGEST);
    CHECK_ERRNO(syscall(SYS_write, event, 16, 8), EFAULT);
    CHECK_ERRNO(pread(event, values, 8, 0), ESPIPE);
    CHECK_EQUAL(lseek(event, 5, SEEK_SET), 0);
    CHECK_EQUAL(fstat(event, &stat), 0);
    CHECK_EQUAL(stat.st_mode, 0600);
    CHECK_EQUAL(close(event), 0);
    CHECK_ERRNO(eventfd(0, O_APPEND), EINVAL);
    event = (int)syscall(SYS_eventfd, 5);
    CHECK_EQUAL(take(), 5);
    CHECK_EQUAL(close(event), 0);
}

static void semaphore(void)
{
    uint64_t value;
    event = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    CHECK_EQUAL(take(), 1);
    CHECK_EQUAL(take(), 1);
    CHECK_ERRNO(read(event, &value, 8), EAGAIN);
    CHECK_EQUAL(close(event), 0);
}

static void *take_many(void *argument)
{
    long taken = 0;
    check_pin((int)(long)argument);
    for (long i = 0; i < check_count(1000); i++) {
        taken += (long)take();
    }
    return (void *)taken;
}

/* Readers on all cores of a semaphore that is filled in large steps: all get their turn. */
static void many_readers(void)
{
    pthread_t threads[4];
    long total = 0;
    event = eventfd(0, EFD_SEMAPHORE);
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(take_many, (void *)i);
    }
    for (long i = 0; i < 4 * check_count(1000); i += 100) {
        give(100);
        sched_yield();
    }
    for (int i = 0; i < 4; i++) {
        total += (long)check_join(threads[i]);
    }
    CHECK_EQUAL(total, 4 * check_count(1000));
    CHECK_EQUAL(close(event), 0);
}

static void *give_three(void *argument)
{
    check_pin(1);
    give(3);
    return argument;
}

/* A write that does not fit waits for a read. */
static void blocked_write(void)
{
    event = eventfd(0, 0);
    give(LARGEST - 1);
    pthread_t thread = check_thread(give_three, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(take(), LARGEST - 1);
    check_join(thread);
    CHECK_EQUAL(take(), 3);
    CHECK_EQUAL(close(event), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"counter", counter},
        {"semaphore", semaphore},
        {"many_readers", many_readers},
        {"blocked_write", blocked_write},
    };
    return CHECK_MAIN(cases);
}
