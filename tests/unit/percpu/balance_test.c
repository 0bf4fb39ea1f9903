/* SPDX-License-Identifier: Apache-2.0 */
/* Balanced placement: whom an idle core asks and how often, and which thread a busy core gives. */
#include "check.h"

#include <host.h>
#include <percpu/channel.h>

#define QUANTUM 1000u
#define CORES 3u

static uint32_t asked[CORES]; /* by core: questions taken */
static uint64_t next_ns;

static void question_taken(core_id_t from, const struct percpu_message *question)
{
    HOST_CHECK(from.value == 0);
    asked[percpu_self.value]++;
    percpu_channel_reply(from, question);
}

static void nothing(struct thread *thread)
{
    (void)thread;
}

/* One thread runs, the others are ready: core 1 has one, core 2 has three. */
static void make_busy(void *none)
{
    (void)none;
    percpu_channel_handle(PERCPU_MESSAGE_THREAD_ASK, question_taken, NULL);
    uint32_t count = percpu_self.value == 0 ? 0 : 2u * percpu_self.value;
    for (uint32_t i = 0; i < count; i++) {
        HOST_CHECK(host_thread_start(nothing, 16) != NULL);
    }
    percpu_schedule();
}

static void drain(void *none)
{
    (void)none;
    percpu_channel_drain();
}

static void idle_at(void *now_ns)
{
    host_time_set(*(uint64_t *)now_ns);
    next_ns = percpu_balance(THREAD_NEVER);
    HOST_CHECK(percpu_balance(7) == 7); /* an earlier deadline stays */
}

static void idle(uint64_t now_ns)
{
    host_on(0, idle_at, &now_ns);
    host_on(1, drain, NULL);
    host_on(2, drain, NULL);
    host_on(0, drain, NULL);
}

static void enter(bool is_balanced)
{
    memset(asked, 0, sizeof(asked));
    host_start(&(struct host_config){.core_count = CORES,
                                     .thread_count = 16,
                                     .quantum_ns = QUANTUM,
                                     .is_balanced = is_balanced});
    host_on_all(make_busy, NULL);
}

/* @verifies ATL-LLR-PERCPU-0024~1 */
TEST(the_longest_queue_is_asked_once_in_a_quantum)
{
    enter(true);
    idle(5000);
    CHECK_EQUAL(next_ns, 5000 + QUANTUM);
    CHECK_EQUAL(asked[1], 0);
    CHECK_EQUAL(asked[2], 1);
    idle(5000 + QUANTUM - 1);
    CHECK_EQUAL(asked[2], 1);
    CHECK_EQUAL(next_ns, 5000 + QUANTUM);
    idle(5000 + QUANTUM);
    CHECK_EQUAL(asked[2], 2);
    CHECK_EQUAL(asked[1], 0);
    host_stop();
}

/* @verifies ATL-LLR-PERCPU-0024~1 */
TEST(fixed_placement_asks_nobody)
{
    enter(false);
    idle(5000);
    CHECK_EQUAL(next_ns, THREAD_NEVER);
    CHECK_EQUAL(asked[1] + asked[2], 0);
    host_stop();
}

static struct thread *start(uint8_t priority, uint64_t cores)
{
    struct thread *thread = host_thread_start(nothing, priority);
    thread->cores = cores;
    return thread;
}

static const struct thread *kept;

static bool not_kept(const struct thread *thread)
{
    return thread != kept;
}

/* @verifies ATL-LLR-PERCPU-0023~1 */
TEST(a_ready_thread_that_may_run_there_is_taken)
{
    const core_id_t to = {1};
    host_enter(&(struct host_config){.core_count = 2, .thread_count = 8});
    kept = NULL;
    CHECK(percpu_ready_take(to, not_kept) == NULL);
    struct thread *running = start(20, 3), *bound = start(16, 0), *elsewhere = start(16, 1);
    struct thread *low = start(3, 2), *first = start(16, 3), *second = start(16, 3);
    CHECK(percpu_schedule() == running);
    kept = first;
    CHECK(percpu_ready_take(to, not_kept) == second);
    CHECK_EQUAL(second->state, THREAD_WAITING);
    kept = NULL;
    CHECK(percpu_ready_take(to, not_kept) == first);
    CHECK(percpu_ready_take(to, not_kept) == low);
    CHECK(percpu_ready_take(to, not_kept) == NULL);
    /* Those that stay run in their order; who was taken may come back. */
    percpu_thread_ready(first);
    percpu_thread_wait(running, NULL);
    CHECK(percpu_schedule() == bound);
    percpu_thread_wait(bound, NULL);
    CHECK(percpu_schedule() == elsewhere);
    percpu_thread_wait(elsewhere, NULL);
    CHECK(percpu_schedule() == first);
    host_leave();
}

CHECK_MAIN()
