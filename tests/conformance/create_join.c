/* SPDX-License-Identifier: Apache-2.0 */
/* Creates and joins --count threads (10,000), one after another and in waves of eight: nothing that
 * a thread takes may stay behind. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0001~1 */
#include "check.h"
#include <stdint.h>

#define WAVE 8

static unsigned long ran;

static void *body(void *argument)
{
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    return argument;
}

static void one_by_one(void)
{
    long count = check_count(10000) / 2;
    ran = 0;
    for (long i = 0; i < count; i++) {
        CHECK_EQUAL((long)check_join(check_thread(body, (void *)i)), i);
    }
    CHECK_EQUAL(ran, count);
}

static void in_waves(void)
{
    long waves = check_count(10000) / 2 / WAVE;
    ran = 0;
    for (long wave = 0; wave < waves; wave++) {
        pthread_t threads[WAVE];
        for (long i = 0; i < WAVE; i++) {
            threads[i] = check_thread(body, (void *)(wave * WAVE + i));
        }
        for (long i = WAVE; i-- > 0;) {
            CHECK_EQUAL((long)check_join(threads[i]), wave * WAVE + i);
        }
    }
    CHECK_EQUAL(ran, waves * WAVE);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"one_by_one", one_by_one}, {"in_waves", in_waves}};
    return CHECK_MAIN(cases);
}
