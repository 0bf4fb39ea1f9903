/* SPDX-License-Identifier: Apache-2.0 */
/* Condition variables: signal wakes one, broadcast wakes all, timed waits on CLOCK_REALTIME and
 * CLOCK_MONOTONIC, a bounded queue on all cores, and ping-pong between two pinned threads.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1
 *   ATL-LLR-GATE-0025~1 */
#include "check.h"
#include <stdint.h>

#define WAITERS 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t event = PTHREAD_COND_INITIALIZER;
static pthread_cond_t settled = PTHREAD_COND_INITIALIZER;
static int waiting, tokens, woken;

static void *wait_for_token(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    pthread_mutex_lock(&lock);
    waiting++;
    pthread_cond_signal(&settled);
    while (tokens == 0) {
        pthread_cond_wait(&event, &lock);
    }
    tokens--;
    woken++;
    pthread_cond_signal(&settled);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void start_waiters(pthread_t *threads)
{
    waiting = tokens = woken = 0;
    for (long i = 0; i < WAITERS; i++) {
        threads[i] = check_thread(wait_for_token, (void *)i);
    }
    pthread_mutex_lock(&lock);
    while (waiting < WAITERS) {
        pthread_cond_wait(&settled, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void join_waiters(pthread_t *threads)
{
    for (int i = 0; i < WAITERS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(woken, WAITERS);
    CHECK_EQUAL(tokens, 0);
}

static void signal_one(void)
{
    pthread_t threads[WAITERS];
    start_waiters(threads);
    for (int i = 1; i <= WAITERS; i++) {
        pthread_mutex_lock(&lock);
        tokens++;
        pthread_cond_signal(&event);
        while (woken < i) {
            pthread_cond_wait(&settled, &lock);
        }
        CHECK_EQUAL(woken, i);
        pthread_mutex_unlock(&lock);
    }
    join_waiters(threads);
}

static void broadcast_all(void)
{
    pthread_t threads[WAITERS];
    start_waiters(threads);
    pthread_mutex_lock(&lock);
    tokens = WAITERS;
    pthread_cond_broadcast(&event);
    pthread_mutex_unlock(&lock);
    join_waiters(threads);
}

static void time_out_on(clockid_t clock)
{
    pthread_condattr_t attributes;
    pthread_cond_t condition;
    CHECK_EQUAL(pthread_condattr_init(&attributes), 0);
    CHECK_EQUAL(pthread_condattr_setclock(&attributes, clock), 0);
    CHECK_EQUAL(pthread_cond_init(&condition, &attributes), 0);
    pthread_mutex_lock(&lock);
    for (long long ns = 0; ns <= 20000000; ns += 10000000) {
        struct timespec until = check_after_ns(clock, ns);
        long long begin = check_now_ns(CLOCK_MONOTONIC);
        int error;
        while ((error = pthread_cond_timedwait(&condition, &lock, &until)) == 0) {
        }
        CHECK_EQUAL(error, ETIMEDOUT);
        CHECK(check_now_ns(CLOCK_MONOTONIC) - begin >= ns - 1000000);
    }
    struct timespec invalid = {1, -1};
    CHECK_EQUAL(pthread_cond_timedwait(&condition, &lock, &invalid), EINVAL);
    pthread_mutex_unlock(&lock);
    CHECK_EQUAL(pthread_cond_destroy(&condition), 0);
}

static void timed_realtime(void)
{
    time_out_on(CLOCK_REALTIME);
}

static void timed_monotonic(void)
{
    time_out_on(CLOCK_MONOTONIC);
}

static int turn;

/* Side 0 waits for an even turn, side 1 for an odd one. */
static void *play(void *argument)
{
    int side = (int)(uintptr_t)argument;
    long rounds = check_count(5000);
    check_pin(side);
    pthread_mutex_lock(&lock);
    for (long i = 0; i < rounds; i++) {
        while (turn % 2 != side) {
            pthread_cond_wait(&event, &lock);
        }
        turn++;
        pthread_cond_signal(&event);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void ping_pong(void)
{
    turn = 0;
    pthread_t first = check_thread(play, (void *)0), second = check_thread(play, (void *)1);
    check_join(first);
    check_join(second);
    CHECK_EQUAL(turn, 2 * check_count(5000));
}

#define SLOTS 4
static long slots[SLOTS], produced, consumed, sum;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;

static void *produce(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(5000); i++) {
        pthread_mutex_lock(&lock);
        while (produced - consumed == SLOTS) {
            pthread_cond_wait(&not_full, &lock);
        }
        slots[produced++ % SLOTS] = i;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *consume(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(5000); i++) {
        pthread_mutex_lock(&lock);
        while (produced == consumed) {
            pthread_cond_wait(&not_empty, &lock);
        }
        sum += slots[consumed++ % SLOTS];
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void bounded_queue(void)
{
    pthread_t threads[8];
    long count = check_count(5000);
    produced = consumed = sum = 0;
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(produce, (void *)i);
        threads[4 + i] = check_thread(consume, (void *)(i + 1));
    }
    for (int i = 0; i < 8; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(consumed, 4 * count);
    CHECK_EQUAL(sum, 4 * (count * (count - 1) / 2));
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"signal_one", signal_one},         {"broadcast_all", broadcast_all},
        {"timed_realtime", timed_realtime}, {"timed_monotonic", timed_monotonic},
        {"ping_pong", ping_pong},           {"bounded_queue", bounded_queue},
    };
    return CHECK_MAIN(cases);
}
