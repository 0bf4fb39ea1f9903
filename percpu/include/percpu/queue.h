/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of threads, linked through the threads themselves. A thread is in one queue at most: it
 * runs, is ready, or waits for one thing. Context: own core, interrupts off; no function loops. */
#ifndef PERCPU_QUEUE_H
#define PERCPU_QUEUE_H

#include <percpu/thread.h>

struct thread_queue {
    struct thread *first, *last; /* both NULL: empty */
};

static inline void thread_queue_append(struct thread_queue *queue, struct thread *thread)
{
    thread->next = NULL;
    thread->previous = queue->last;
    if (queue->last == NULL) {
        queue->first = thread;
    } else {
        queue->last->next = thread;
    }
    queue->last = thread;
}

static inline void thread_queue_prepend(struct thread_queue *queue, struct thread *thread)
{
    thread->previous = NULL;
    thread->next = queue->first;
    if (queue->first == NULL) {
        queue->last = thread;
    } else {
        queue->first->previous = thread;
    }
    queue->first = thread;
}

/* @thread  is in the queue */
static inline void thread_queue_remove(struct thread_queue *queue, struct thread *thread)
{
    if (thread->previous == NULL) {
        queue->first = thread->next;
    } else {
        thread->previous->next = thread->next;
    }
    if (thread->next == NULL) {
        queue->last = thread->previous;
    } else {
        thread->next->previous = thread->previous;
    }
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
