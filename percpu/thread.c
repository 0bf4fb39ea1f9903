/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of threads of this core, their generations and handles. */
#include "outbox.h"

/* First in, first out: a slot rests as long as possible before its index is used again. */
static PERCORE struct thread_queue free_threads;
PERCORE uint32_t percpu_threads_live;

/* Senders compare with this: 0 while the slot is free. */
static void generation_publish(const struct thread *thread)
{
    atomic_store_explicit(&outbox_own()->generations[thread->index],
                          thread->state == THREAD_FREE ? 0 : thread->generation,
                          memory_order_release);
}

void thread_initialize(void)
{
    for (uint32_t index = 0; index < percpu_config.thread_count; index++) {
        struct thread *thread = &percpu_config.threads[index];
        thread->state = THREAD_FREE; /* all else is set when it is allocated */
        thread->index = (uint16_t)index;
        thread->generation = 1;
        thread->extended =
            (uint8_t *)percpu_config.extended + (uint64_t)index * percpu_config.extended_stride;
        thread_queue_append(&free_threads, thread);
    }
}

/* @impl ATL-LLR-PERCPU-0012~1 */
enum result percpu_thread_allocate(struct thread **result)
{
    struct thread *thread = thread_queue_take(&free_threads);
    if (thread == NULL) {
        return RESULT_AGAIN;
    }
    ASSERT(thread->state == THREAD_FREE);
    *thread = (struct thread){
        .index = thread->index,
        .generation = thread->generation,
        .extended = thread->extended,
        .state = THREAD_WAITING,
        .deadline_ns = THREAD_NEVER,
    };
    percpu_threads_live++;
    generation_publish(thread);
    *result = thread;
    return RESULT_OK;
}

/* @impl ATL-LLR-PERCPU-0013~1 */
void percpu_thread_free(struct thread *thread)
{
    ASSERT(thread->state == THREAD_WAITING || thread->state == THREAD_RUNNING);
    ASSERT(percpu_threads_live > 0 && thread->deadline_slot == DEADLINE_NONE);
    thread->state = THREAD_FREE;
    generation_publish(thread);
    thread->generation = MAX(thread->generation + 1, 1u); /* 0 is nobody's */
    percpu_threads_live--;
    if (percpu_current == thread) {
        percpu_current = NULL;
        percpu_reschedule = true;
    }
    thread_queue_append(&free_threads, thread);
}

uint64_t percpu_thread_handle(const struct thread *thread)
{
    ASSERT(thread->state != THREAD_FREE);
    return (uint64_t)thread->generation << 32 | (uint64_t)percpu_self.value << 16 | thread->index;
}

/* @impl ATL-LLR-PERCPU-0013~1 */
struct thread *percpu_thread_find(uint64_t handle)
{
    uint32_t index = handle & 0xffff;
    if (index >= percpu_config.thread_count || ((handle >> 16) & 0xffff) != percpu_self.value) {
        return NULL;
    }
    struct thread *thread = &percpu_config.threads[index];
    return thread->state != THREAD_FREE && thread->generation == handle >> 32 ? thread : NULL;
}
