/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs next on this core. A run queue for each of 32 priorities and a word that says which are
 * not empty. No periodic tick: a quantum is only counted while another thread of the running
 * thread's priority is ready. */
#include "deadline.h"
#include "outbox.h"

#include <percpu/operations.h>

#define PRIORITIES 32u
/* Threads that are looked at for another core at once. */
#define TAKE_LOOKS_MAX 64u

PERCORE struct thread *percpu_current;
PERCORE bool percpu_reschedule;
PERCORE uint64_t percpu_timer_ns;

static PERCORE struct thread_queue queues[PRIORITIES];
static PERCORE uint32_t ready_mask, ready_count;

void scheduler_initialize(void)
{
    percpu_timer_ns = THREAD_NEVER;
    deadline_first_ns = THREAD_NEVER;
}

/* Makes the thread READY; returns the queue that the caller puts it into. */
static struct thread_queue *become_ready(struct thread *thread)
{
    thread->state = THREAD_READY;
    ready_mask |= 1u << thread->priority;
    ready_count++;
    return &queues[thread->priority];
}

static void queue_remove(struct thread *thread)
{
    uint32_t priority = thread->priority;
    ASSERT(thread->state == THREAD_READY);
    thread_queue_remove(&queues[priority], thread);
    ready_count--;
    if (queues[priority].first == NULL) {
        ready_mask &= ~(1u << priority);
    }
}

static bool is_running(const struct thread *thread)
{
    return thread != NULL && thread->state == THREAD_RUNNING;
}

static void quantum_begin(struct thread *current)
{
    current->quantum_end_ns = percpu_operation_now() + percpu_config.quantum_ns;
}

/* @impl ATL-LLR-PERCPU-0014~1 */
void percpu_thread_ready(struct thread *thread)
{
    const struct thread *current = percpu_current;
    ASSERT(thread->state == THREAD_WAITING || thread->state == THREAD_PARKED);
    ASSERT(thread->priority < PRIORITIES);
    PERCPU_PERTURB();
    if (thread->deadline_slot != DEADLINE_NONE) {
        deadline_remove(thread);
    }
    thread->continuation = NULL;
    thread->quantum_end_ns = 0;
    TRACE(TRACE_READY, thread->index, thread->priority, 0);
    thread_queue_append(become_ready(thread), thread);
    if (!is_running(current) || thread->priority > current->priority) {
        percpu_reschedule = true;
    } else if (thread->priority == current->priority && current->quantum_end_ns == 0 &&
               !current->fifo) {
        quantum_begin(percpu_current);
        /* A timer that fires before leads to the scheduler, which arms it anew. */
        percpu_reschedule |= current->quantum_end_ns < percpu_timer_ns;
    }
}

void percpu_thread_wait(struct thread *thread, thread_continuation continuation)
{
    ASSERT(thread->state == THREAD_RUNNING || thread->state == THREAD_WAITING);
    thread->state = THREAD_WAITING;
    thread->continuation = continuation;
    percpu_reschedule = true;
}

/* Rarely called: made small. @impl ATL-LLR-PERCPU-0014~1 */
__attribute__((cold)) void percpu_thread_set_priority(struct thread *thread, uint8_t priority)
{
    ASSERT(thread->state != THREAD_FREE && priority < 2 * PRIORITIES);
    bool fifo = priority >= PRIORITIES;
    priority %= PRIORITIES;
    if (thread->priority == priority && thread->fifo == fifo) {
        return;
    }
    bool is_ready = thread->state == THREAD_READY;
    if (is_ready) {
        queue_remove(thread);
    }
    thread->priority = priority;
    thread->fifo = fifo;
    if (fifo) {
        thread->quantum_end_ns = 0;
    }
    if (is_ready) {
        thread_queue_append(become_ready(thread), thread);
    }
    percpu_reschedule |= is_ready || is_running(thread);
}

/* Puts the running thread behind its equals, if any can run.
 * @impl ATL-LLR-PERCPU-0022~1 */
static enum result yield(struct thread *thread)
{
    if (ready_mask >> thread->priority == 0) {
        return RESULT_TIMED_OUT;
    }
    thread->frame.rax = (uint64_t)(int64_t)RESULT_TIMED_OUT;
    thread->quantum_end_ns = 0;
    thread_queue_append(become_ready(thread), thread);
    percpu_reschedule = true;
    return RESULT_AGAIN;
}

/* @impl ATL-LLR-PERCPU-0016~1 */
enum result percpu_park(uint64_t deadline_ns)
{
    struct thread *thread = percpu_current;
    ASSERT(is_running(thread) && thread->deadline_slot == DEADLINE_NONE);
    PERCPU_PERTURB();
    if (thread->permit) {
        thread->permit = false;
        return RESULT_OK;
    }
    if (deadline_ns == 0) {
        return yield(thread);
    }
    TRACE(TRACE_PARK, thread->index, deadline_ns, 0);
    thread->state = THREAD_PARKED;
    percpu_reschedule = true;
    if (deadline_ns != THREAD_NEVER) {
        thread->deadline_ns = deadline_ns;
        deadline_insert(thread);
    }
    return RESULT_AGAIN;
}

/* @impl ATL-LLR-PERCPU-0016~1 */
void percpu_unpark(struct thread *thread, bool interrupt)
{
    ASSERT(thread->state != THREAD_FREE);
    TRACE(TRACE_UNPARK, thread->index, interrupt, 0);
    thread->interrupt |= interrupt;
    if (thread->state == THREAD_PARKED) {
        thread->frame.rax = 0;
        percpu_thread_ready(thread);
    } else {
        thread->permit = true;
    }
}

/* @impl ATL-LLR-PERCPU-0017~1 */
static void deadlines_expire(void)
{
    uint64_t now_ns = percpu_operation_now();
    struct thread *thread;
    while ((thread = deadline_expire(now_ns)) != NULL) {
        ASSERT(thread->state == THREAD_PARKED);
        thread->frame.rax = (uint64_t)(int64_t)RESULT_TIMED_OUT;
        percpu_thread_ready(thread);
    }
}

/* Puts the running thread back into its queue if another one must run now: a higher priority at
 * once (then it stays first in its queue and keeps the rest of its quantum), an equal one when its
 * quantum has ended. */
static void preempt(struct thread *current)
{
    uint32_t own = 1u << current->priority;
    bool higher_is_ready = (ready_mask & ~(own | (own - 1))) != 0;
    bool has_quantum = current->quantum_end_ns != 0;
    uint64_t now_ns = has_quantum ? percpu_operation_now() : 0;
    if (has_quantum && now_ns >= current->quantum_end_ns) {
        current->quantum_end_ns = 0;
        thread_queue_append(become_ready(current), current);
    } else if (higher_is_ready) {
        current->quantum_end_ns -= now_ns; /* of a ready thread: what is left */
        thread_queue_prepend(become_ready(current), current);
    }
}

static struct thread *pick(void)
{
    struct thread *thread = queues[31 - __builtin_clz(ready_mask)].first;
    queue_remove(thread);
    thread->state = THREAD_RUNNING;
    if (thread->quantum_end_ns != 0) {
        thread->quantum_end_ns += percpu_operation_now();
    }
    return thread;
}

/* Starts or stops the count of the running thread's quantum. @impl ATL-LLR-PERCPU-0050~1 */
static void quantum_update(struct thread *current)
{
    if (current->fifo || (ready_mask & (1u << current->priority)) == 0) {
        current->quantum_end_ns = 0;
    } else if (current->quantum_end_ns == 0) {
        quantum_begin(current);
    }
}

/* @impl ATL-LLR-PERCPU-0014~1
 * @impl ATL-LLR-PERCPU-0015~1 */
struct thread *percpu_schedule(void)
{
    PERCPU_PERTURB();
    if (deadline_first_ns != THREAD_NEVER) {
        deadlines_expire();
    }
    percpu_reschedule = false;
    if (is_running(percpu_current)) {
        preempt(percpu_current);
    }
    if (!is_running(percpu_current)) {
        percpu_current = ready_mask == 0 ? NULL : pick();
    }
    if (percpu_current != NULL) {
        quantum_update(percpu_current);
    }
    if (percpu_config.is_balanced) {
        atomic_store_explicit(&outbox_own()->state->ready, ready_count, memory_order_relaxed);
    }
    return percpu_current;
}

/* @impl ATL-LLR-PERCPU-0023~1 */
struct thread *percpu_ready_take(core_id_t to, bool (*may_leave)(const struct thread *thread))
{
    uint32_t looks = 0;
    for (uint32_t mask = ready_mask; mask != 0; mask &= ~(1u << (31 - __builtin_clz(mask)))) {
        struct thread *thread = queues[31 - __builtin_clz(mask)].first;
        for (; thread != NULL && looks < TAKE_LOOKS_MAX; thread = thread->next, looks++) {
            if ((thread->cores >> to.value & 1) != 0 && may_leave(thread)) {
                queue_remove(thread);
                thread->state = THREAD_WAITING;
                return thread;
            }
        }
    }
    return NULL;
}

uint64_t percpu_next_event_ns(void)
{
    if (is_running(percpu_current) && percpu_current->quantum_end_ns != 0) {
        return MIN(deadline_first_ns, percpu_current->quantum_end_ns);
    }
    return deadline_first_ns;
}
