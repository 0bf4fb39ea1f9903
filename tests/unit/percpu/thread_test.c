/* SPDX-License-Identifier: Apache-2.0 */
/* The thread pool: fields of a new thread, handles, generations, exhaustion. */
#include "check.h"
#include "random.h"

#include <host.h>
#include <percpu/channel.h>

#define POOL 70u

static const struct host_config machine = {.core_count = 2, .thread_count = POOL};

static struct thread *allocate(void)
{
    struct thread *thread = NULL;
    CHECK_EQUAL(percpu_thread_allocate(&thread), RESULT_OK);
    return thread;
}

/* @verifies ATL-LLR-PERCPU-0012~1 */
TEST(a_new_thread_is_clean)
{
    host_enter(&machine);
    for (uint32_t round = 0; round < 3 * POOL; round++) {
        struct thread *thread = allocate();
        CHECK_EQUAL(thread->state, THREAD_WAITING);
        CHECK_EQUAL(thread->frame.rax, 0);
        CHECK_EQUAL(thread->permit, false);
        CHECK_EQUAL(thread->interrupt, false);
        CHECK(thread->cell == NULL && thread->work[3] == 0);
        CHECK(thread->deadline_ns == THREAD_NEVER && thread->deadline_slot == DEADLINE_NONE);
        CHECK(thread->generation != 0 && IS_ALIGNED((uintptr_t)thread->extended, 64));
        thread->frame.rax = 1;
        thread->cell = thread;
        thread->work[3] = 1;
        thread->permit = true;
        thread->interrupt = true;
        percpu_thread_free(thread);
    }
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0012~1 @robust */
TEST(an_empty_pool_says_so)
{
    struct thread *threads[POOL], *none = NULL;
    host_enter(&machine);
    for (uint32_t i = 0; i < POOL; i++) {
        threads[i] = allocate();
        CHECK_EQUAL(percpu_threads_live, i + 1);
    }
    CHECK_EQUAL(percpu_thread_allocate(&none), RESULT_AGAIN);
    CHECK(none == NULL);
    percpu_thread_free(threads[5]);
    CHECK(allocate() == threads[5]);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0013~1 @robust */
TEST(a_stale_handle_finds_nothing)
{
    host_enter(&machine);
    struct thread *thread = allocate();
    uint64_t handle = percpu_thread_handle(thread);
    uint32_t index = thread->index, generation = thread->generation;
    CHECK(percpu_thread_find(handle) == thread);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, index, generation, false), RESULT_OK);
    percpu_thread_free(thread);
    CHECK(percpu_thread_find(handle) == NULL);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, index, generation, false), RESULT_NO_THREAD);
    for (uint32_t i = 0; i < POOL; i++) {
        allocate();
    }
    CHECK_EQUAL(thread->state, THREAD_WAITING);
    CHECK(percpu_thread_find(handle) == NULL);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, index, generation, false), RESULT_NO_THREAD);
    CHECK(percpu_thread_find(percpu_thread_handle(thread)) == thread);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0013~1 @robust */
TEST(generations_wrap_around_zero)
{
    host_enter(&machine);
    struct thread *thread = allocate();
    thread->generation = UINT32_MAX;
    uint64_t last = percpu_thread_handle(thread);
    percpu_thread_free(thread);
    CHECK_EQUAL(thread->generation, 1);
    CHECK(percpu_thread_find(last) == NULL);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, thread->index, 0, false), RESULT_NO_THREAD);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0013~1 @robust */
TEST(any_value_is_a_safe_handle)
{
    uint64_t random = 99;
    host_enter(&machine);
    uint64_t live = percpu_thread_handle(allocate());
    for (uint32_t i = 0; i < 200000; i++) {
        uint64_t handle = (uint64_t)random_below(&random, 4) << 32 |
                          (uint64_t)random_below(&random, 4) << 16 | random_below(&random, 100);
        CHECK((percpu_thread_find(handle) != NULL) == (handle == live));
    }
    CHECK(percpu_thread_find(UINT64_MAX) == NULL);
    CHECK(percpu_thread_find(0) == NULL);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0007~1 @robust */
TEST(a_signal_to_no_thread_is_refused)
{
    host_enter(&machine);
    struct thread *thread = allocate();
    uint32_t generation = thread->generation;
    CHECK_EQUAL(percpu_signal_send_remote((core_id_t){2}, 0, 1, false), RESULT_NO_THREAD);
    CHECK_EQUAL(percpu_signal_send_remote((core_id_t){UINT16_MAX}, 0, 1, false), RESULT_NO_THREAD);
    CHECK_EQUAL(percpu_signal_send_remote((core_id_t){1}, 0, 1, false), RESULT_NO_THREAD);
    CHECK_EQUAL(percpu_signal_send_remote((core_id_t){1}, 0, 0, false), RESULT_NO_THREAD);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, POOL, generation, false), RESULT_NO_THREAD);
    CHECK_EQUAL(percpu_signal_send_remote(percpu_self, UINT32_MAX, generation, false),
                RESULT_NO_THREAD);
    CHECK_EQUAL(thread->permit, false);
    host_leave();
}

TEST(a_thread_is_freed_once)
{
    host_enter(&machine);
    struct thread *thread = allocate();
    allocate();
    percpu_thread_free(thread);
    CHECK_ABORTS(percpu_thread_free(thread));
    host_leave();
}

CHECK_MAIN()
