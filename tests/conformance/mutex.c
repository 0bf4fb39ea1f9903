/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes: mutual exclusion on all cores, normal, recursive and error-checking kinds, trylock,
 * timedlock, and robust mutexes whose owner died. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1 */
#include "../waiting.h"

#include "check.h"
#include <stdint.h>

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static unsigned long counter, shadow;

static void make(pthread_mutex_t *mutex, int type, int robust)
{
    pthread_mutexattr_t attributes;
    CHECK_EQUAL(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQUAL(pthread_mutexattr_settype(&attributes, type), 0);
    CHECK_EQUAL(pthread_mutexattr_setrobust(&attributes,
                                            robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED),
                0);
    CHECK_EQUAL(pthread_mutex_init(mutex, &attributes), 0);
    CHECK_EQUAL(pthread_mutexattr_destroy(&attributes), 0);
}

static void *increment(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    long count = check_count(20000);
    for (long i = 0; i < count; i++) {
        pthread_mutex_lock(&plain);
        unsigned long old = counter;
        if (i % 64 == 0) {
            sched_yield(); /* others must stay out although the owner left its core */
        }
        counter = old + 1;
        shadow += counter;
        pthread_mutex_unlock(&plain);
    }
    return NULL;
}

static void exclusion(void)
{
    pthread_t threads[2 * CHECK_CORES_MAX];
    int count = 2 * check_all_cores_count;
    counter = shadow = 0;
    for (long i = 0; i < count; i++) {
        threads[i] = check_thread(increment, (void *)i);
    }
    for (int i = 0; i < count; i++) {
        check_join(threads[i]);
    }
    unsigned long total = (unsigned long)count * (unsigned long)check_count(20000);
    CHECK_EQUAL(counter, total);
    CHECK_EQUAL(shadow, total * (total + 1) / 2);
}

static void *try_other(void *argument)
{
    return (void *)(uintptr_t)pthread_mutex_trylock(argument);
}

static void recursive(void)
{
    pthread_mutex_t mutex;
    make(&mutex, PTHREAD_MUTEX_RECURSIVE, 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    }
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
        CHECK_EQUAL((uintptr_t)check_join(check_thread(try_other, &mutex)), EBUSY);
    }
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), EPERM);
    CHECK_EQUAL(pthread_mutex_destroy(&mutex), 0);
}

static void *unlock_other(void *argument)
{
    return (void *)(uintptr_t)pthread_mutex_unlock(argument);
}

static void error_checking(void)
{
    pthread_mutex_t mutex;
    make(&mutex, PTHREAD_MUTEX_ERRORCHECK, 0);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), EPERM);
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_lock(&mutex), EDEADLK);
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(unlock_other, &mutex)), EPERM);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_destroy(&mutex), 0);
}

static void *timed_other(void *argument)
{
    long long begin = check_now_ns(CLOCK_MONOTONIC); /* first: we may be kept from running */
    struct timespec until = check_after_ns(CLOCK_REALTIME, 20000000);
    int error = pthread_mutex_timedlock(argument, &until);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - begin >= 19000000);
    return (void *)(uintptr_t)error;
}

static void timed(void)
{
    pthread_mutex_t mutex;
    struct timespec past = {1, 0}, invalid = {1, 1000000000};
    make(&mutex, PTHREAD_MUTEX_NORMAL, 0);
    CHECK_EQUAL(pthread_mutex_timedlock(&mutex, &past), 0); /* free: the time does not matter */
    CHECK_EQUAL(pthread_mutex_timedlock(&mutex, &past), ETIMEDOUT);
    CHECK_EQUAL(pthread_mutex_timedlock(&mutex, &invalid), EINVAL);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(timed_other, &mutex)), ETIMEDOUT);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_other, &mutex)), 0);
}

static void *die_with_lock(void *argument)
{
    CHECK_EQUAL(pthread_mutex_lock(argument), 0);
    return NULL;
}

static void robust_free_owner(void)
{
    pthread_mutex_t mutex;
    make(&mutex, PTHREAD_MUTEX_NORMAL, 1);
    check_join(check_thread(die_with_lock, &mutex));
    CHECK_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
    CHECK_EQUAL(pthread_mutex_consistent(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_lock(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_consistent(&mutex), EINVAL);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    check_join(check_thread(die_with_lock, &mutex));
    CHECK_EQUAL(pthread_mutex_trylock(&mutex), EOWNERDEAD);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0); /* not made consistent */
    CHECK_EQUAL(pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    CHECK_EQUAL(pthread_mutex_destroy(&mutex), 0);
}

static pthread_barrier_t owner_ready;

static void *die_while_waited_for(void *argument)
{
    check_pin(1);
    CHECK_EQUAL(pthread_mutex_lock(argument), 0);
    pthread_barrier_wait(&owner_ready);
    threads_await_waiting(1);
    return NULL;
}

static void robust_waiter(void)
{
    pthread_mutex_t mutex;
    make(&mutex, PTHREAD_MUTEX_NORMAL, 1);
    CHECK_EQUAL(pthread_barrier_init(&owner_ready, NULL, 2), 0);
    pthread_t thread = check_thread(die_while_waited_for, &mutex);
    pthread_barrier_wait(&owner_ready);
    CHECK_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
    CHECK_EQUAL(pthread_mutex_consistent(&mutex), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&mutex), 0);
    check_join(thread);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"exclusion", exclusion},
        {"recursive", recursive},
        {"error_checking", error_checking},
        {"timed", timed},
        {"robust_free_owner", robust_free_owner},
        {"robust_waiter", robust_waiter},
    };
    return CHECK_MAIN(cases);
}
