/* SPDX-License-Identifier: Apache-2.0 */
/* Binary heap of deadlines; the earliest is entry 0. */
#include "deadline.h"

#include <percpu/scheduler.h>

static PERCORE struct thread *heap[PERCPU_THREADS_MAX];
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
    while (slot > 0) {
        uint32_t parent = (slot - 1) / 2;
        if (heap[parent]->deadline_ns <= thread->deadline_ns) {
            break;
        }
        place(heap[parent], slot);
        slot = parent;
    }
    place(thread, slot);
}

/* Moves thread down from slot, a hole, while a child is earlier. */
static void sift_down(struct thread *thread, uint32_t slot)
{
    for (;;) {
        uint32_t child = 2 * slot + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && heap[child + 1]->deadline_ns < heap[child]->deadline_ns) {
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
    sift_up(thread, count++);
    deadline_first_ns = heap[0]->deadline_ns;
}

void deadline_remove(struct thread *thread)
{
    uint32_t slot = thread->deadline_slot;
    ASSERT(slot < count && heap[slot] == thread);
    thread->deadline_ns = THREAD_NEVER;
    thread->deadline_slot = DEADLINE_NONE;
    struct thread *last = heap[--count];
    if (last != thread) {
        sift_up(last, slot);
        sift_down(last, last->deadline_slot);
    }
    deadline_first_ns = count == 0 ? THREAD_NEVER : heap[0]->deadline_ns;
}

struct thread *deadline_expire(uint64_t now_ns)
{
    if (deadline_first_ns > now_ns) {
        return NULL;
    }
    struct thread *thread = heap[0];
    deadline_remove(thread);
    return thread;
}
