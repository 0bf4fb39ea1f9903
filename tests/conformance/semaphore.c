/* SPDX-License-Identifier: Apache-2.0 */
/* Semaphores: counting, limits, try and timed waits, posts from a signal handler, and a ring of
 * threads that hand one token round. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1 */
#include "../waiting.h"

#include "check.h"
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>

#define RING 8

static sem_t ring[RING], posted;
static long passes;

static void counting(void)
{
    sem_t semaphore;
    int value = -1;
    CHECK_ERRNO(sem_init(&semaphore, 0, (unsigned)SEM_VALUE_MAX + 1u), EINVAL);
    CHECK_EQUAL(sem_init(&semaphore, 0, 2), 0);
    CHECK_EQUAL(sem_wait(&semaphore), 0);
    CHECK_EQUAL(sem_trywait(&semaphore), 0);
    CHECK_ERRNO(sem_trywait(&semaphore), EAGAIN);
    CHECK_EQUAL(sem_post(&semaphore), 0);
    CHECK_EQUAL(sem_getvalue(&semaphore, &value), 0);
    CHECK_EQUAL(value, 1);
    CHECK_EQUAL(sem_destroy(&semaphore), 0);
    CHECK_EQUAL(sem_init(&semaphore, 0, SEM_VALUE_MAX), 0);
    CHECK_ERRNO(sem_post(&semaphore), EOVERFLOW);
    CHECK_EQUAL(sem_destroy(&semaphore), 0);
}

static void *post_later(void *argument)
{
    check_pin(1);
    threads_await_waiting(1);
    CHECK_EQUAL(sem_post(argument), 0);
    return NULL;
}

static void timed(void)
{
    sem_t semaphore;
    struct timespec past = {1, 0}, invalid = {1, 1000000000};
    CHECK_EQUAL(sem_init(&semaphore, 0, 1), 0);
    CHECK_EQUAL(sem_timedwait(&semaphore, &past), 0);
    CHECK_ERRNO(sem_timedwait(&semaphore, &past), ETIMEDOUT);
    CHECK_ERRNO(sem_timedwait(&semaphore, &invalid), EINVAL);
    long long begin = check_now_ns(CLOCK_MONOTONIC);
    struct timespec until = check_after_ns(CLOCK_REALTIME, 20000000);
    CHECK_ERRNO(sem_timedwait(&semaphore, &until), ETIMEDOUT);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - begin >= 19000000);
    pthread_t thread = check_thread(post_later, &semaphore);
    until = check_after_ns(CLOCK_REALTIME, 10000000000LL);
    CHECK_EQUAL(sem_timedwait(&semaphore, &until), 0);
    check_join(thread);
    CHECK_EQUAL(sem_destroy(&semaphore), 0);
}

static void *pass_on(void *argument)
{
    long index = (long)(uintptr_t)argument;
    check_pin((int)index);
    for (long i = 0; i < check_count(1000); i++) {
        CHECK_EQUAL(sem_wait(&ring[index]), 0);
        CHECK_EQUAL(passes, i * RING + index); /* only the holder of the token touches it */
        passes++;
        CHECK_EQUAL(sem_post(&ring[(index + 1) % RING]), 0);
    }
    return NULL;
}

static void token_ring(void)
{
    pthread_t threads[RING];
    passes = 0;
    for (long i = 0; i < RING; i++) {
        CHECK_EQUAL(sem_init(&ring[i], 0, i == 0), 0);
    }
    for (long i = 0; i < RING; i++) {
        threads[i] = check_thread(pass_on, (void *)i);
    }
    for (int i = 0; i < RING; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(passes, check_count(1000) * RING);
}

static void post_from_handler(int signal)
{
    (void)signal;
    sem_post(&posted);
}

static void posted_by_signal(void)
{
    struct sigaction action = {.sa_handler = post_from_handler};
    CHECK_EQUAL(sem_init(&posted, 0, 0), 0);
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(raise(SIGUSR1), 0);
        CHECK_EQUAL(sem_wait(&posted), 0);
    }
    CHECK_ERRNO(sem_trywait(&posted), EAGAIN);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"counting", counting},
                                              {"timed", timed},
                                              {"token_ring", token_ring},
                                              {"posted_by_signal", posted_by_signal}};
    return CHECK_MAIN(cases);
}
