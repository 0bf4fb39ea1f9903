/* SPDX-License-Identifier: Apache-2.0 */
/* Binary heap of deadlines; the earliest is entry 1, and entry n stands above 2n and 2n + 1. */
#include "deadline.h"

#include <percpu/scheduler.h>

static PERCORE struct thread *heap[PERCPU_THREADS_MAX + 1];
static PERCORE uint32_t count;
PERCORE uint64_t deadline_first_ns;

static void place(struct thread *thread, uint32_t slot)
{
    heap[slot] = thread;
    thread->deadline_slot = slot;
}

/* Moves thread up from slot, a hole, while its parent is later. */
static void sift_up(struct thread *thread, uint32_t slot)
{
    for (; slot > 1 && heap[slot / 2]->deadline_ns > thread->deadline_ns; slot /= 2) {
        place(heap[slot / 2], slot);
    }
    place(thread, slot);
}

/* Moves thread down from slot, a hole, while a child is earlier. */
static void sift_down(struct thread *thread, uint32_t slot)
{
    for (uint32_t child = 2 * slot; child <= count; child = 2 * slot) {
        if (child < count && heap[child + 1]->deadline_ns < heap[child]->deadline_ns) {
            child++;
        }
        if (heap[child]->deadline_ns >= thread->deadline_ns) {
            break;
        }
        place(heap[child], slot);
        slot = child;
    }
    place(thread, slot);
}

void deadline_insert(struct thread *thread)
{
    ASSERT(thread->deadline_slot == DEADLINE_NONE && thread->deadline_ns != THREAD_NEVER);
    ASSERT(count < PERCPU_THREADS_MAX);
    sift_up(thread, ++count);
    deadline_first_ns = heap[1]->deadline_ns;
}

void deadline_remove(struct thread *thread)
{
    uint32_t slot = thread->deadline_slot;
    ASSERT(slot != DEADLINE_NONE && slot <= count && heap[slot] == thread);
    thread->deadline_ns = THREAD_NEVER;
    thread->deadline_slot = DEADLINE_NONE;
    struct thread *last = heap[count--];
    if (last != thread) {
        sift_up(last, slot);
        sift_down(last, last->deadline_slot);
    }
    deadline_first_ns = count == 0 ? THREAD_NEVER : heap[1]->deadline_ns;
}

struct thread *deadline_expire(uint64_t now_ns)
{
    if (deadline_first_ns > now_ns) {
        return NULL;
    }
    struct thread *thread = heap[1];
    deadline_remove(thread);
    return thread;
}
