/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of threads, linked through the threads themselves. A thread is in one queue at most: it
 * runs, is ready, or waits for one thing. Context: own core, interrupts off; no function loops. */
#ifndef PERCPU_QUEUE_H
#define PERCPU_QUEUE_H

#include <percpu/thread.h>

struct thread_queue {
    struct thread *first, *last; /* both NULL: empty */
};

/* Makes two threads neighbours; NULL: the other one is the first or the last. */
static inline void thread_queue_join(struct thread_queue *queue, struct thread *before,
                                     struct thread *after)
{
    if (before == NULL) {
        queue->first = after;
    } else {
        before->next = after;
    }
    if (after == NULL) {
        queue->last = before;
    } else {
        after->previous = before;
    }
}

static inline void thread_queue_append(struct thread_queue *queue, struct thread *thread)
{
    thread_queue_join(queue, queue->last, thread);
    thread_queue_join(queue, thread, NULL);
}

static inline void thread_queue_prepend(struct thread_queue *queue, struct thread *thread)
{
    thread_queue_join(queue, thread, queue->first);
    thread_queue_join(queue, NULL, thread);
}

/* @thread  is in the queue */
static inline void thread_queue_remove(struct thread_queue *queue, struct thread *thread)
{
    thread_queue_join(queue, thread->previous, thread->next);
    thread->next = NULL;
    thread->previous = NULL;
}

/* Takes the first out; NULL: the queue is empty. */
static inline struct thread *thread_queue_take(struct thread_queue *queue)
{
    struct thread *thread = queue->first;
    if (thread != NULL) {
        thread_queue_remove(queue, thread);
    }
    return thread;
}

#endif
