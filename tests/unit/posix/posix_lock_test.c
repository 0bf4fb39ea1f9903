/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <check.h>
#include <posix/posix.h>

#define WORKERS 6
#define ROUNDS 20000

static struct posix_lock lock;
static uint64_t counter;

static void count_up(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        posix_lock_acquire(&lock);
        uint64_t seen = counter;
        __asm__ volatile("" : : : "memory");
        counter = seen + 1;
        posix_lock_release(&lock);
    }
}

/* @verifies ATL-LLR-POSIX-0010~1 */
TEST(lock_excludes_and_wakes_everybody)
{
    void *workers[WORKERS];
    counter = 0;
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = shim_start(count_up, NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        shim_join(workers[i]);
    }
    CHECK_EQUAL(counter, WORKERS * ROUNDS);
    CHECK_EQUAL(lock.state, 0);
}

static void take_and_leave(void *argument)
{
    (void)argument;
    posix_lock_acquire(&lock);
    counter++;
    posix_lock_release(&lock);
}

/* @verifies ATL-LLR-POSIX-0010~1 */
TEST(lock_parks_while_held)
{
    counter = 0;
    posix_lock_acquire(&lock);
    uint64_t parks = shim_park_count();
    void *worker = shim_start(take_and_leave, NULL);
    shim_await_parks(parks + 1);
    CHECK_EQUAL(shim_park_count(), parks + 1);
    CHECK_EQUAL(counter, 0);
    posix_lock_release(&lock);
    shim_join(worker);
    CHECK_EQUAL(counter, 1);
}

/* Locks that share a bucket wake each other's waiters in vain, and nothing is lost. */
static struct posix_lock many[256];
static uint64_t many_counters[256];

static void count_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        int at = i % 4 * 64;
        posix_lock_acquire(&many[at]);
        many_counters[at]++;
        posix_lock_release(&many[at]);
    }
}

TEST(locks_are_independent)
{
    void *workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = shim_start(count_many, NULL);
    }
    for (int i = 0; i < WORKERS; i++) {
        shim_join(workers[i]);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQUAL(many_counters[i * 64], WORKERS * ROUNDS / 4);
    }
}

struct box {
    struct posix_lock lock;
    struct posix_wait_queue queue;
    uint64_t deadline_ns;
    _Atomic int woken, timed_out, interrupted;
    int tokens;
};

static struct box box;

static void wait_once(void *argument)
{
    (void)argument;
    posix_lock_acquire(&box.lock);
    int64_t result = posix_wait(&box.queue, &box.lock, box.deadline_ns);
    if (result == 0) {
        box.woken++;
    } else if (result == -ETIMEDOUT) {
        box.timed_out++;
    } else if (result == -EINTR) {
        box.interrupted++;
    }
}

/* @verifies ATL-LLR-POSIX-0011~1 */
TEST(wake_wakes_as_many_as_told)
{
    void *waiters[3];
    box = (struct box){.deadline_ns = GATE_NEVER};
    uint64_t parks = shim_park_count();
    for (int i = 0; i < 3; i++) {
        waiters[i] = shim_start(wait_once, NULL);
    }
    shim_await_parks(parks + 3);
    posix_lock_acquire(&box.lock);
    CHECK_EQUAL(posix_wake(&box.queue, 1), 1);
    CHECK_EQUAL(posix_wake(&box.queue, 10), 2);
    CHECK_EQUAL(posix_wake(&box.queue, 10), 0);
    posix_lock_release(&box.lock);
    for (int i = 0; i < 3; i++) {
        shim_join(waiters[i]);
    }
    CHECK_EQUAL(box.woken, 3);
}

/* @verifies ATL-LLR-POSIX-0011~1 */
TEST(a_wake_may_come_with_the_release)
{
    box = (struct box){.deadline_ns = GATE_NEVER};
    uint64_t parks = shim_park_count();
    void *waiter = shim_start(wait_once, NULL);
    shim_await_parks(parks + 1);
    posix_lock_acquire(&box.lock);
    uint64_t handle = posix_wake_first(&box.queue);
    CHECK(handle != 0);
    CHECK(box.queue.first == NULL && box.queue.last == NULL);
    CHECK_EQUAL(posix_wake_first(&box.queue), 0);
    posix_release_and_unpark(&box.lock, handle);
    shim_join(waiter);
    CHECK_EQUAL(box.woken, 1);
    posix_lock_acquire(&box.lock);
    posix_release_and_unpark(&box.lock, 0); /* nobody */
    CHECK_EQUAL(box.lock.state, 0);
}

/* @verifies ATL-LLR-POSIX-0011~1 */
TEST(wait_ends_at_its_deadline)
{
    box = (struct box){.deadline_ns = shim_now_ns() + 5000000};
    posix_lock_acquire(&box.lock);
    CHECK_EQUAL(posix_wait(&box.queue, &box.lock, box.deadline_ns), -ETIMEDOUT);
    CHECK(shim_now_ns() >= box.deadline_ns);
    CHECK(box.queue.first == NULL && box.queue.last == NULL);
    CHECK_EQUAL(box.lock.state, 0);
}

/* Tokens handed out by wakes that race with deadlines are neither lost nor doubled: a waiter that
 * was woken reports it, even if its deadline passed meanwhile. */
static void take_tokens(void *argument)
{
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        posix_lock_acquire(&box.lock);
        if (posix_wait(&box.queue, &box.lock, shim_now_ns() + (uint64_t)(i % 40) * 1000) == 0) {
            box.woken++;
        }
    }
    box.timed_out++; /* done */
}

TEST(wakes_that_race_with_deadlines_are_counted_once)
{
    void *waiters[3];
    box = (struct box){0};
    for (int i = 0; i < 3; i++) {
        waiters[i] = shim_start(take_tokens, NULL);
    }
    int given = 0;
    while (box.timed_out < 3) {
        posix_lock_acquire(&box.lock);
        given += (int)posix_wake(&box.queue, 1);
        posix_lock_release(&box.lock);
    }
    for (int i = 0; i < 3; i++) {
        shim_join(waiters[i]);
    }
    CHECK_EQUAL(box.woken, given);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
