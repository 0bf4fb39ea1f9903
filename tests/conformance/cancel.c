/* SPDX-License-Identifier: Apache-2.0 */
/* Cancellation: deferred at blocked cancellation points (nanosleep, condition variable, semaphore,
 * join), disabled and enabled again, asynchronous while user code
 * spins on another core, and the order of cleanup handlers. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0003~1 */
#include "../waiting.h"

#include "check.h"
#include <semaphore.h>
#include <stdint.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t semaphore, ready;
static char order[16];
static size_t order_length;
static volatile unsigned long spins;

static void note(void *argument)
{
    order[order_length++] = *(const char *)argument;
}

static void announce(void)
{
    CHECK_EQUAL(sem_post(&ready), 0);
}

static void begin(void)
{
    order_length = 0;
    memset(order, 0, sizeof(order));
    CHECK_EQUAL(sem_init(&ready, 0, 0), 0);
}

static void await_ready(void)
{
    while (sem_wait(&ready) != 0) {
    }
}

static void await_waiting(void)
{
    threads_await_waiting(1);
}

/* Cancels a thread that has announced itself, then also when it is seen to block. */
static void cancel_blocked(void *(*body)(void *), void (*await)(void))
{
    for (int round = 0; round < 3; round++) {
        begin();
        pthread_t thread = check_thread(body, NULL);
        await_ready();
        if (round > 0) {
            await(); /* round 0: perhaps before it blocks */
        }
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
        CHECK(strcmp(order, "ba") == 0);
    }
}

static void *blocked_in_nanosleep(void *argument)
{
    struct timespec hour = {3600, 0};
    check_pin(1);
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    announce();
    nanosleep(&hour, NULL);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void unlock_and_note(void *argument)
{
    CHECK_EQUAL(pthread_mutex_trylock(&lock), EBUSY); /* the wait has locked it again */
    CHECK_EQUAL(pthread_mutex_unlock(&lock), 0);
    note(argument);
}

static void *blocked_in_condvar(void *argument)
{
    check_pin(1);
    pthread_cleanup_push(note, (void *)"a");
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlock_and_note, (void *)"b");
    announce();
    for (;;) {
        pthread_cond_wait(&never, &lock);
    }
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void *blocked_in_semaphore(void *argument)
{
    check_pin(1);
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    announce();
    sem_wait(&semaphore);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void *blocked_in_join(void *argument)
{
    pthread_t sleeper = check_thread(blocked_in_nanosleep, NULL);
    CHECK_EQUAL(pthread_join(sleeper, NULL), ESRCH); /* cannot return */
    return argument;
}

static void in_nanosleep(void)
{
    cancel_blocked(blocked_in_nanosleep, await_waiting);
}

static void in_condvar(void)
{
    cancel_blocked(blocked_in_condvar, await_waiting);
    CHECK_EQUAL(pthread_mutex_trylock(&lock), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&lock), 0);
}

static void in_semaphore(void)
{
    CHECK_EQUAL(sem_init(&semaphore, 0, 0), 0);
    cancel_blocked(blocked_in_semaphore, await_waiting);
}

static void in_join(void)
{
    begin();
    pthread_t thread = check_thread(blocked_in_join, NULL);
    await_ready();
    threads_await_waiting(2);
    CHECK_EQUAL(pthread_cancel(thread), 0);
    CHECK(check_join(thread) == PTHREAD_CANCELED);
}

static void *disabled_then_enabled(void *argument)
{
    int old = -1;
    CHECK_EQUAL(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old), 0);
    CHECK_EQUAL(old, PTHREAD_CANCEL_ENABLE);
    pthread_cleanup_push(note, (void *)"a");
    announce();
    while (sem_wait(&semaphore) != 0) { /* the request arrives here and must not act */
    }
    note((void *)"d");
    pthread_testcancel();
    CHECK_EQUAL(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
    pthread_testcancel();
    note((void *)"x");
    pthread_cleanup_pop(0);
    return argument;
}

static void disabled(void)
{
    begin();
    CHECK_EQUAL(sem_init(&semaphore, 0, 0), 0);
    pthread_t thread = check_thread(disabled_then_enabled, NULL);
    await_ready();
    CHECK_EQUAL(pthread_cancel(thread), 0);
    CHECK_EQUAL(sem_post(&semaphore), 0);
    CHECK(check_join(thread) == PTHREAD_CANCELED);
    CHECK(strcmp(order, "da") == 0);
}

static void *spin_asynchronous(void *argument)
{
    int old = -1;
    check_pin(1);
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    announce();
    CHECK_EQUAL(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old), 0);
    CHECK_EQUAL(old, PTHREAD_CANCEL_DEFERRED);
    for (;;) {
        spins++; /* never a call */
    }
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return argument;
}

static void await_spinning(void)
{
    for (unsigned long before = spins; spins == before;) {
        sched_yield();
    }
}

static void asynchronous(void)
{
    cancel_blocked(spin_asynchronous, await_spinning);
    unsigned long at = spins;
    check_sleep_ms(5);
    CHECK_EQUAL(spins, at);
}

static void *run_own_cleanup(void *argument)
{
    pthread_cleanup_push(note, (void *)"a");
    pthread_cleanup_push(note, (void *)"b");
    pthread_cleanup_push(note, (void *)"c");
    pthread_cleanup_pop(1);
    pthread_cleanup_pop(0);
    pthread_cleanup_push(note, (void *)"d");
    pthread_exit(argument);
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cleanup_order(void)
{
    begin();
    CHECK(check_join(check_thread(run_own_cleanup, order)) == order);
    CHECK(strcmp(order, "cda") == 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"in_nanosleep", in_nanosleep},   {"in_condvar", in_condvar},
        {"in_semaphore", in_semaphore},   {"in_join", in_join},
        {"disabled", disabled},           {"asynchronous", asynchronous},
        {"cleanup_order", cleanup_order},
    };
    return CHECK_MAIN(cases);
}
