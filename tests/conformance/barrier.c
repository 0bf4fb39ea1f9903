/* SPDX-License-Identifier: Apache-2.0 */
/* Barriers: nobody passes a phase early, exactly one thread of each phase is the serial one, and a
 * barrier can be destroyed right after its last use. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1 */
#include "check.h"
#include <stdint.h>

#define THREADS 8

static pthread_barrier_t barrier;
static unsigned long entered, serials;

static void *phases(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    for (long phase = 1; phase <= check_count(1000); phase++) {
        __atomic_add_fetch(&entered, 1, __ATOMIC_RELAXED);
        int result = pthread_barrier_wait(&barrier);
        unsigned long seen = __atomic_load_n(&entered, __ATOMIC_RELAXED);
        CHECK(seen >= (unsigned long)phase * THREADS);
        if (result == PTHREAD_BARRIER_SERIAL_THREAD) {
            __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
        } else {
            CHECK_EQUAL(result, 0);
        }
        pthread_barrier_wait(&barrier); /* nobody enters the next phase before all have looked */
        CHECK(seen == (unsigned long)phase * THREADS);
    }
    return NULL;
}

static void all_phases(void)
{
    pthread_t threads[THREADS];
    entered = serials = 0;
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (long i = 0; i < THREADS; i++) {
        threads[i] = check_thread(phases, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(entered, (unsigned long)check_count(1000) * THREADS);
    CHECK_EQUAL(serials, check_count(1000));
    CHECK_EQUAL(pthread_barrier_destroy(&barrier), 0);
}

static void single(void)
{
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, 0), EINVAL);
    CHECK_EQUAL(pthread_barrier_init(&barrier, NULL, 1), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(pthread_barrier_wait(&barrier), PTHREAD_BARRIER_SERIAL_THREAD);
    }
    CHECK_EQUAL(pthread_barrier_destroy(&barrier), 0);
}

static void *wait_once(void *argument)
{
    return (void *)(intptr_t)pthread_barrier_wait(argument);
}

static void destroy_at_once(void)
{
    for (long i = 0; i < check_count(1000) / 4 + 1; i++) {
        pthread_barrier_t *local = malloc(sizeof(*local));
        CHECK(local != NULL);
        CHECK_EQUAL(pthread_barrier_init(local, NULL, 2), 0);
        pthread_t thread = check_thread(wait_once, local);
        intptr_t mine = pthread_barrier_wait(local);
        CHECK_EQUAL(pthread_barrier_destroy(local), 0);
        memset(local, 0xaa, sizeof(*local));
        free(local);
        intptr_t other = (intptr_t)check_join(thread);
        CHECK_EQUAL(mine + other, PTHREAD_BARRIER_SERIAL_THREAD);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"all_phases", all_phases}, {"single", single}, {"destroy_at_once", destroy_at_once}};
    return CHECK_MAIN(cases);
}
