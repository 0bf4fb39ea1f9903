/* SPDX-License-Identifier: Apache-2.0 */
/* pthread_once runs once although all cores race for it; keys are per thread; destructors run for
 * values that are not NULL, again for values that destructors set, and not for deleted keys.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0001~1 */
#include "../waiting.h"

#include "check.h"
#include <limits.h>
#include <stdint.h>

#define THREADS 16

static pthread_once_t once;
static pthread_barrier_t start;
static int initialized;
static pthread_key_t key, again_key;
static unsigned long destroyed, destroyed_sum, again;

static void initialize(void)
{
    threads_await_waiting(THREADS); /* the others, and who joins them */
    __atomic_add_fetch(&initialized, 1, __ATOMIC_RELEASE);
}

static void *race_for_once(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    pthread_barrier_wait(&start);
    CHECK_EQUAL(pthread_once(&once, initialize), 0);
    return (void *)(uintptr_t)__atomic_load_n(&initialized, __ATOMIC_ACQUIRE);
}

static void once_only(void)
{
    for (int round = 0; round < 5; round++) {
        pthread_t threads[THREADS];
        once = (pthread_once_t)PTHREAD_ONCE_INIT;
        initialized = 0;
        CHECK_EQUAL(pthread_barrier_init(&start, NULL, THREADS), 0);
        for (long i = 0; i < THREADS; i++) {
            threads[i] = check_thread(race_for_once, (void *)i);
        }
        for (int i = 0; i < THREADS; i++) {
            CHECK_EQUAL((uintptr_t)check_join(threads[i]), 1);
        }
        CHECK_EQUAL(pthread_barrier_destroy(&start), 0);
    }
}

static void count_destroyed(void *value)
{
    CHECK(pthread_getspecific(key) == NULL);
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&destroyed_sum, (unsigned long)value, __ATOMIC_RELAXED);
}

static void *set_value(void *argument)
{
    CHECK(pthread_getspecific(key) == NULL);
    CHECK_EQUAL(pthread_setspecific(key, argument), 0);
    for (int i = 0; i < 100; i++) {
        sched_yield();
        CHECK(pthread_getspecific(key) == argument);
    }
    return NULL;
}

static void values_are_private(void)
{
    pthread_t threads[THREADS];
    destroyed = destroyed_sum = 0;
    CHECK_EQUAL(pthread_key_create(&key, count_destroyed), 0);
    for (long i = 0; i < THREADS; i++) {
        threads[i] = check_thread(set_value, (void *)i); /* thread 0 sets NULL: no destructor */
    }
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(destroyed, THREADS - 1);
    CHECK_EQUAL(destroyed_sum, THREADS * (THREADS - 1) / 2);
    CHECK_EQUAL(pthread_key_delete(key), 0);
}

static void set_again(void *value)
{
    again++;
    pthread_setspecific(again_key, value);
}

static void *use_again(void *argument)
{
    pthread_setspecific(again_key, argument);
    return NULL;
}

static void iterations(void)
{
    again = 0;
    CHECK_EQUAL(pthread_key_create(&again_key, set_again), 0);
    check_join(check_thread(use_again, &again));
    CHECK_EQUAL(again, PTHREAD_DESTRUCTOR_ITERATIONS);
    CHECK_EQUAL(pthread_key_delete(again_key), 0);
}

static void *delete_own_key(void *argument)
{
    (void)argument;
    pthread_setspecific(key, &key);
    pthread_key_delete(key);
    return NULL;
}

static void deleted_key(void)
{
    destroyed = 0;
    CHECK_EQUAL(pthread_key_create(&key, count_destroyed), 0);
    check_join(check_thread(delete_own_key, NULL));
    CHECK_EQUAL(destroyed, 0);
}

static void key_limit(void)
{
    static pthread_key_t keys[PTHREAD_KEYS_MAX + 1];
    int count = 0, error = 0;
    while (count <= PTHREAD_KEYS_MAX && (error = pthread_key_create(&keys[count], NULL)) == 0) {
        CHECK(pthread_getspecific(keys[count]) == NULL);
        count++;
    }
    CHECK_EQUAL(error, EAGAIN);
    CHECK(count >= PTHREAD_KEYS_MAX / 2);
    while (count > 0) {
        CHECK_EQUAL(pthread_key_delete(keys[--count]), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"once_only", once_only},   {"values_are_private", values_are_private},
        {"iterations", iterations}, {"deleted_key", deleted_key},
        {"key_limit", key_limit},
    };
    return CHECK_MAIN(cases);
}
