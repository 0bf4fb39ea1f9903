/* SPDX-License-Identifier: Apache-2.0 */
/* Spin locks and pure user-space spinning: threads that never call anything must be preempted, so
 * that more spinning threads than cores all make progress. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1 */
#include "check.h"
#include <stdint.h>

#define THREADS 8

static pthread_spinlock_t lock;
static unsigned long counter;
static volatile unsigned long progress[THREADS];
static volatile int stop;

static void *add_under_spinlock(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(5000); i++) {
        pthread_spin_lock(&lock);
        counter++;
        pthread_spin_unlock(&lock);
    }
    return NULL;
}

static void spin_lock(void)
{
    pthread_t threads[CHECK_CORES_MAX];
    counter = 0;
    CHECK_EQUAL(pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE), 0);
    CHECK_EQUAL(pthread_spin_trylock(&lock), 0);
    CHECK_EQUAL(pthread_spin_trylock(&lock), EBUSY);
    CHECK_EQUAL(pthread_spin_unlock(&lock), 0);
    for (long i = 0; i < check_all_cores_count; i++) {
        threads[i] = check_thread(add_under_spinlock, (void *)i);
    }
    for (int i = 0; i < check_all_cores_count; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(counter, check_all_cores_count * check_count(5000));
    CHECK_EQUAL(pthread_spin_destroy(&lock), 0);
}

static void *spin_forever(void *argument)
{
    long index = (long)(uintptr_t)argument;
    check_pin(0); /* all on one core: only preemption lets them take turns */
    while (!stop) {
        progress[index]++;
    }
    return NULL;
}

static void preemption(void)
{
    pthread_t threads[THREADS];
    stop = 0;
    for (long i = 0; i < THREADS; i++) {
        progress[i] = 0;
        threads[i] = check_thread(spin_forever, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        while (progress[i] == 0) {
            check_sleep_ms(1);
        }
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
        CHECK(progress[i] > 0);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"spin_lock", spin_lock}, {"preemption", preemption}};
    return CHECK_MAIN(cases);
}
