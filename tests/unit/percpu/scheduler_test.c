/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler against a reference model that keeps each priority as a plain array, with time set
 * by hand; then its single rules. */
#include "check.h"
#include "random.h"

#include <host.h>
#include <percpu/operations.h>

#define POOL 24u
#define QUANTUM 1000u
#define STEPS 300000u

static const struct host_config machine = {
    .core_count = 1, .thread_count = POOL, .quantum_ns = QUANTUM};

enum model_state { MODEL_NONE, MODEL_READY, MODEL_RUNNING, MODEL_PARKED, MODEL_WAITING };

struct model {
    enum model_state state[POOL];
    uint32_t priority[POOL];
    bool permit[POOL];
    uint64_t deadline[POOL];
    uint64_t left[POOL]; /* of the quantum; 0: not begun */
    uint64_t quantum_end;
    uint32_t queue[32][POOL], length[32];
    int running;
    uint64_t now;
};

static struct model model;
static struct thread *threads[POOL];

static void reset(void)
{
    model = (struct model){.running = -1, .now = 1000};
    memset(threads, 0, sizeof(threads));
    host_enter(&machine);
    host_time_set(model.now);
}

static void model_append(uint32_t i)
{
    uint32_t priority = model.priority[i];
    model.queue[priority][model.length[priority]++] = i;
    model.state[i] = MODEL_READY;
}

static void model_prepend(uint32_t i)
{
    uint32_t *queue = model.queue[model.priority[i]];
    memmove(queue + 1, queue, model.length[model.priority[i]]++ * sizeof(*queue));
    queue[0] = i;
    model.state[i] = MODEL_READY;
}

static void model_remove(uint32_t i)
{
    uint32_t *queue = model.queue[model.priority[i]], *length = &model.length[model.priority[i]];
    for (uint32_t k = 0; k < *length; k++) {
        if (queue[k] == i) {
            memmove(queue + k, queue + k + 1, (--*length - k) * sizeof(*queue));
            return;
        }
    }
    CHECK(!"in its queue");
}

static bool is_running(void)
{
    return model.running >= 0 && model.state[model.running] == MODEL_RUNNING;
}

static void model_ready(uint32_t i)
{
    model.left[i] = 0;
    model.deadline[i] = THREAD_NEVER;
    model_append(i);
    if (is_running() && model.priority[i] == model.priority[model.running] &&
        model.quantum_end == 0) {
        model.quantum_end = model.now + QUANTUM;
    }
}

static int model_highest(void)
{
    for (int priority = 31; priority >= 0; priority--) {
        if (model.length[priority] > 0) {
            return priority;
        }
    }
    return -1;
}

static void model_expire(void)
{
    for (;;) {
        uint32_t first = POOL;
        for (uint32_t i = 0; i < POOL; i++) {
            if (model.state[i] == MODEL_PARKED && model.deadline[i] <= model.now &&
                (first == POOL || model.deadline[i] < model.deadline[first])) {
                first = i;
            }
        }
        if (first == POOL) {
            return;
        }
        model_ready(first);
    }
}

static void model_schedule(void)
{
    model_expire();
    int highest = model_highest(), running = model.running;
    if (running >= 0 && model.state[running] == MODEL_RUNNING) {
        int priority = (int)model.priority[running];
        if (model.quantum_end != 0 && model.now >= model.quantum_end) {
            model.left[running] = 0;
            model_append((uint32_t)running);
            running = -1;
        } else if (highest > priority) {
            model.left[running] = model.quantum_end == 0 ? 0 : model.quantum_end - model.now;
            model_prepend((uint32_t)running);
            running = -1;
        }
    } else {
        running = -1;
    }
    if (running < 0) {
        highest = model_highest();
        if (highest < 0) {
            model.running = -1;
            return;
        }
        running = (int)model.queue[highest][0];
        model_remove((uint32_t)running);
        model.state[running] = MODEL_RUNNING;
        model.quantum_end = model.left[running] == 0 ? 0 : model.now + model.left[running];
    }
    model.running = running;
    if (model.length[model.priority[running]] == 0) {
        model.quantum_end = 0;
    } else if (model.quantum_end == 0) {
        model.quantum_end = model.now + QUANTUM;
    }
}

static void schedule_and_compare(void)
{
    model_schedule();
    struct thread *thread = percpu_schedule();
    CHECK(thread == percpu_current && !percpu_reschedule);
    CHECK(thread == (model.running < 0 ? NULL : threads[model.running]));
    uint64_t next = THREAD_NEVER;
    for (uint32_t i = 0; i < POOL; i++) {
        if (model.state[i] == MODEL_PARKED) {
            next = MIN(next, model.deadline[i]);
        }
    }
    if (is_running() && model.quantum_end != 0) {
        next = MIN(next, model.quantum_end);
    }
    CHECK_EQUAL(percpu_next_event_ns(), next);
}

static void create(uint32_t i, uint32_t priority)
{
    CHECK_EQUAL(percpu_thread_allocate(&threads[i]), RESULT_OK);
    percpu_thread_set_priority(threads[i], (uint8_t)priority);
    percpu_thread_ready(threads[i]);
    model.priority[i] = priority;
    model.permit[i] = false;
    model_ready(i);
}

static void set_priority(uint32_t i, uint32_t priority)
{
    percpu_thread_set_priority(threads[i], (uint8_t)priority);
    if (model.state[i] == MODEL_READY && model.priority[i] != priority) {
        model_remove(i);
        model.priority[i] = priority;
        model_append(i);
    }
    model.priority[i] = priority;
}

static void unpark(uint32_t i)
{
    percpu_unpark(threads[i], false);
    if (model.state[i] == MODEL_PARKED) {
        CHECK_EQUAL(threads[i]->frame.rax, 0);
        model_ready(i);
    } else {
        model.permit[i] = true;
    }
}

static void park(uint64_t deadline)
{
    uint32_t i = (uint32_t)model.running;
    threads[i]->frame.rax = 77;
    enum result parked = percpu_park(deadline);
    CHECK_EQUAL(parked, model.permit[i] ? RESULT_OK : RESULT_AGAIN);
    if (!model.permit[i]) {
        model.state[i] = MODEL_PARKED;
        model.deadline[i] = deadline;
    }
    model.permit[i] = false;
}

static bool deadline_is_unique(uint64_t deadline)
{
    for (uint32_t i = 0; i < POOL; i++) {
        if (model.state[i] == MODEL_PARKED && model.deadline[i] == deadline) {
            return false;
        }
    }
    return true;
}

/* The order of equal deadlines is not promised: there are none. */
static uint64_t deadline_new(uint64_t *random)
{
    uint64_t deadline;
    do {
        deadline = model.now + random_below(random, 3000);
    } while (!deadline_is_unique(deadline));
    return deadline;
}

static void act_as_running(uint64_t *random)
{
    uint32_t i = (uint32_t)model.running;
    switch (random_below(random, 6)) {
    case 0:
        percpu_thread_wait(threads[i], NULL);
        model.state[i] = MODEL_WAITING;
        break;
    case 1:
        percpu_thread_free(threads[i]);
        model.state[i] = MODEL_NONE;
        threads[i] = NULL;
        break;
    default:
        park(random_below(random, 4) == 0 ? THREAD_NEVER : deadline_new(random));
    }
}

static void act(uint64_t *random)
{
    uint32_t i = random_below(random, POOL);
    if (model.state[i] == MODEL_NONE) {
        create(i, random_below(random, 5) * 7);
    } else if (model.state[i] == MODEL_WAITING) {
        percpu_thread_ready(threads[i]);
        model_ready(i);
    } else if (random_below(random, 4) == 0) {
        set_priority(i, random_below(random, 5) * 7);
    } else if (random_below(random, 3) == 0) {
        unpark(i);
    } else if (is_running()) {
        act_as_running(random);
    }
}

/* @verifies ATL-LLR-PERCPU-0014~1
 * @verifies ATL-LLR-PERCPU-0015~1
 * @verifies ATL-LLR-PERCPU-0016~1 */
TEST(random_operations_agree_with_the_model)
{
    uint64_t random = 2024;
    reset();
    for (uint32_t step = 0; step < STEPS; step++) {
        act(&random);
        if (random_below(&random, 3) == 0) {
            model.now += random_below(&random, 900);
            host_time_set(model.now);
        }
        if (random_below(&random, 3) != 0) {
            schedule_and_compare();
        }
    }
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0015~1 */
TEST(a_lone_thread_has_no_quantum)
{
    reset();
    create(0, 16);
    create(1, 3);
    schedule_and_compare();
    CHECK(percpu_next_event_ns() == THREAD_NEVER);
    create(2, 16);
    CHECK(percpu_reschedule);
    schedule_and_compare();
    CHECK(percpu_current == threads[0]);
    CHECK_EQUAL(percpu_next_event_ns(), model.now + QUANTUM);
    host_time_set(model.now += QUANTUM - 1);
    schedule_and_compare();
    CHECK(percpu_current == threads[0]);
    host_time_set(model.now += 1);
    schedule_and_compare();
    CHECK(percpu_current == threads[2]);
    host_leave();
}

/* 32 more than its priority is a thread without a quantum.
 * @verifies ATL-LLR-PERCPU-0050~1 */
TEST(a_fifo_thread_runs_until_it_waits_or_a_higher_one_is_ready)
{
    reset();
    create(0, 16);
    percpu_thread_set_priority(threads[0], 32 + 16);
    CHECK(percpu_schedule() == threads[0]);
    create(1, 16);
    CHECK(percpu_schedule() == threads[0]);
    CHECK(percpu_next_event_ns() == THREAD_NEVER);
    host_time_set(model.now += 10 * QUANTUM);
    CHECK(percpu_schedule() == threads[0]);
    create(2, 17);
    CHECK(percpu_schedule() == threads[2]);
    CHECK_EQUAL(percpu_park(THREAD_NEVER), RESULT_AGAIN);
    CHECK(percpu_schedule() == threads[0]);
    percpu_reschedule = false;
    percpu_thread_set_priority(threads[0], 16);
    CHECK(percpu_reschedule);
    CHECK(percpu_schedule() == threads[0]);
    CHECK_EQUAL(percpu_next_event_ns(), model.now + QUANTUM);
    host_time_set(model.now += QUANTUM);
    CHECK(percpu_schedule() == threads[1]);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0014~1 */
TEST(a_higher_priority_preempts_and_the_preempted_stays_first)
{
    reset();
    create(0, 16);
    schedule_and_compare();
    create(1, 16);
    create(2, 31);
    CHECK(percpu_reschedule);
    schedule_and_compare();
    CHECK(percpu_current == threads[2]);
    park(THREAD_NEVER);
    schedule_and_compare();
    CHECK(percpu_current == threads[0]);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0016~1
 * @verifies ATL-LLR-PERCPU-0017~1 */
TEST(park_takes_permits_and_ends_at_its_deadline)
{
    reset();
    create(0, 16);
    schedule_and_compare();
    unpark(0);
    unpark(0);
    CHECK_EQUAL(percpu_park(THREAD_NEVER), RESULT_OK);
    CHECK_EQUAL(percpu_park(model.now + 50), RESULT_AGAIN);
    CHECK(percpu_schedule() == NULL);
    CHECK_EQUAL(percpu_next_event_ns(), model.now + 50);
    host_time_set(model.now + 49);
    CHECK(percpu_schedule() == NULL);
    host_time_set(model.now + 50);
    CHECK(percpu_schedule() == threads[0]);
    CHECK_EQUAL(threads[0]->frame.rax, RESULT_TIMED_OUT);
    /* A deadline in the past: parked, and back with the next look. */
    CHECK_EQUAL(percpu_park(1), RESULT_AGAIN);
    CHECK(percpu_schedule() == threads[0]);
    CHECK_EQUAL(threads[0]->frame.rax, RESULT_TIMED_OUT);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0022~1 */
TEST(a_deadline_of_zero_lets_equals_run_first)
{
    reset();
    create(0, 16);
    create(1, 3);
    schedule_and_compare();
    percpu_reschedule = false;
    CHECK_EQUAL(percpu_park(0), RESULT_TIMED_OUT);
    CHECK(!percpu_reschedule && threads[0]->state == THREAD_RUNNING);
    create(2, 16);
    CHECK_EQUAL(percpu_park(0), RESULT_AGAIN);
    CHECK(percpu_reschedule && percpu_schedule() == threads[2]);
    CHECK_EQUAL(threads[0]->frame.rax, RESULT_TIMED_OUT);
    CHECK_EQUAL(percpu_park(THREAD_NEVER), RESULT_AGAIN);
    CHECK(percpu_schedule() == threads[0]);
    /* A permit is taken at once, whoever else could run. */
    unpark(0);
    CHECK_EQUAL(percpu_park(0), RESULT_OK);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0015~1 */
TEST(a_timer_that_fires_earlier_serves_the_quantum)
{
    reset();
    create(0, 16);
    schedule_and_compare();
    percpu_timer_ns = model.now + QUANTUM;
    create(1, 16);
    CHECK(!percpu_reschedule);
    CHECK_EQUAL(percpu_next_event_ns(), model.now + QUANTUM);
    schedule_and_compare();
    percpu_timer_ns = THREAD_NEVER;
    host_time_set(model.now += QUANTUM);
    schedule_and_compare();
    CHECK(percpu_current == threads[1]);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0016~1 */
TEST(an_interrupt_is_noted_and_wakes)
{
    reset();
    create(0, 16);
    schedule_and_compare();
    CHECK_EQUAL(percpu_park(model.now + 50), RESULT_AGAIN);
    percpu_unpark(threads[0], true);
    CHECK(threads[0]->interrupt && !threads[0]->permit);
    CHECK(percpu_schedule() == threads[0]);
    CHECK_EQUAL(threads[0]->frame.rax, 0);
    CHECK(percpu_next_event_ns() == THREAD_NEVER);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0016~1 @robust */
TEST(a_permit_does_not_end_the_kernels_own_wait)
{
    reset();
    create(0, 16);
    schedule_and_compare();
    percpu_thread_wait(threads[0], NULL);
    percpu_unpark(threads[0], true);
    CHECK(percpu_schedule() == NULL);
    percpu_thread_ready(threads[0]);
    CHECK(percpu_schedule() == threads[0]);
    CHECK(threads[0]->permit && threads[0]->interrupt);
    host_leave();
}

CHECK_MAIN()
