/* SPDX-License-Identifier: Apache-2.0 */
/* Read-write locks: readers share, writers exclude everybody, try and timed variants, consistency
 * of a two-word value under load on all cores. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1 */
#include "check.h"
#include <stdint.h>

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t together;
static volatile unsigned long value, inverse = ~0UL;

static void *read_together(void *argument)
{
    (void)argument;
    CHECK_EQUAL(pthread_rwlock_rdlock(&lock), 0);
    pthread_barrier_wait(&together); /* passes only if all hold the lock at the same time */
    CHECK_EQUAL(pthread_rwlock_unlock(&lock), 0);
    return NULL;
}

static void readers_share(void)
{
    pthread_t threads[8];
    CHECK_EQUAL(pthread_barrier_init(&together, NULL, 8), 0);
    for (int i = 0; i < 8; i++) {
        threads[i] = check_thread(read_together, NULL);
    }
    for (int i = 0; i < 8; i++) {
        check_join(threads[i]);
    }
}

static void *try_read(void *argument)
{
    (void)argument;
    int error = pthread_rwlock_tryrdlock(&lock);
    if (error == 0) {
        pthread_rwlock_unlock(&lock);
    }
    return (void *)(uintptr_t)error;
}

static void *try_write(void *argument)
{
    (void)argument;
    int error = pthread_rwlock_trywrlock(&lock);
    if (error == 0) {
        pthread_rwlock_unlock(&lock);
    }
    return (void *)(uintptr_t)error;
}

static void *timed_both(void *argument)
{
    (void)argument;
    struct timespec until = check_after_ns(CLOCK_REALTIME, 10000000);
    CHECK_EQUAL(pthread_rwlock_timedrdlock(&lock, &until), ETIMEDOUT);
    until = check_after_ns(CLOCK_REALTIME, 10000000);
    CHECK_EQUAL(pthread_rwlock_timedwrlock(&lock, &until), ETIMEDOUT);
    return NULL;
}

static void exclusion_table(void)
{
    CHECK_EQUAL(pthread_rwlock_rdlock(&lock), 0);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_read, NULL)), 0);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_write, NULL)), EBUSY);
    CHECK_EQUAL(pthread_rwlock_unlock(&lock), 0);
    CHECK_EQUAL(pthread_rwlock_wrlock(&lock), 0);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_read, NULL)), EBUSY);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_write, NULL)), EBUSY);
    check_join(check_thread(timed_both, NULL));
    CHECK_EQUAL(pthread_rwlock_unlock(&lock), 0);
    CHECK_EQUAL((uintptr_t)check_join(check_thread(try_write, NULL)), 0);
}

static void *use_value(void *argument)
{
    long index = (long)(uintptr_t)argument;
    check_pin((int)index);
    for (long i = 0; i < check_count(5000); i++) {
        if ((i + index) % 8 == 0) {
            pthread_rwlock_wrlock(&lock);
            unsigned long next = value + 1;
            value = next;
            inverse = ~next;
        } else {
            pthread_rwlock_rdlock(&lock);
            CHECK(value == ~inverse);
        }
        pthread_rwlock_unlock(&lock);
    }
    return NULL;
}

static void load(void)
{
    pthread_t threads[8];
    value = 0;
    inverse = ~0UL;
    for (long i = 0; i < 8; i++) {
        threads[i] = check_thread(use_value, (void *)i);
    }
    for (int i = 0; i < 8; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(value, check_count(5000)); /* for each i exactly one of the eight threads wrote */
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"readers_share", readers_share}, {"exclusion_table", exclusion_table}, {"load", load}};
    return CHECK_MAIN(cases);
}
