/* SPDX-License-Identifier: Apache-2.0 */
/* The deadline heap against a plain array. */
#include "check.h"
#include "random.h"

#include <deadline.h>
#include <host.h>

#define THREADS 200u
#define STEPS 200000u

static struct thread threads[THREADS];
static uint64_t reference[THREADS]; /* THREAD_NEVER: not in the heap */

static uint64_t reference_first(void)
{
    uint64_t first = THREAD_NEVER;
    for (uint32_t i = 0; i < THREADS; i++) {
        first = MIN(first, reference[i]);
    }
    return first;
}

static void reset(void)
{
    host_enter(&(struct host_config){.core_count = 1, .thread_count = 1});
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){
            .deadline_ns = THREAD_NEVER, .deadline_slot = DEADLINE_NONE, .index = (uint16_t)i};
        reference[i] = THREAD_NEVER;
    }
}

static void insert_or_remove(uint32_t i, uint64_t deadline_ns)
{
    if (reference[i] == THREAD_NEVER) {
        threads[i].deadline_ns = deadline_ns;
        reference[i] = deadline_ns;
        deadline_insert(&threads[i]);
    } else {
        reference[i] = THREAD_NEVER;
        deadline_remove(&threads[i]);
        CHECK_EQUAL(threads[i].deadline_slot, DEADLINE_NONE);
        CHECK(threads[i].deadline_ns == THREAD_NEVER);
    }
}

static void expire_all(uint64_t now_ns)
{
    struct thread *thread;
    while ((thread = deadline_expire(now_ns)) != NULL) {
        CHECK(reference[thread->index] <= now_ns);
        CHECK_EQUAL(reference[thread->index], reference_first());
        CHECK_EQUAL(thread->deadline_slot, DEADLINE_NONE);
        reference[thread->index] = THREAD_NEVER;
    }
    CHECK(reference_first() > now_ns);
}

/* @verifies ATL-LLR-PERCPU-0017~1 */
TEST(the_heap_agrees_with_an_array)
{
    uint64_t random = 12345, now_ns = 0;
    reset();
    for (uint32_t step = 0; step < STEPS; step++) {
        if (random_below(&random, 8) != 0) {
            insert_or_remove(random_below(&random, THREADS), now_ns + random_below(&random, 5000));
        } else {
            now_ns += random_below(&random, 400);
            expire_all(now_ns);
        }
        CHECK_EQUAL(deadline_first_ns, reference_first());
    }
    host_leave();
}

TEST(equal_deadlines_all_expire)
{
    reset();
    for (uint32_t i = 0; i < THREADS; i++) {
        insert_or_remove(i, 7);
    }
    CHECK(deadline_expire(6) == NULL);
    expire_all(7);
    CHECK(deadline_first_ns == THREAD_NEVER);
    host_leave();
}

TEST(a_thread_cannot_be_inserted_twice)
{
    reset();
    insert_or_remove(3, 9);
    CHECK_ABORTS(deadline_insert(&threads[3]));
    host_leave();
}

CHECK_MAIN()
