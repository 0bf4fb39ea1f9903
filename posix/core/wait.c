/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking: a queue of waiting threads under the caller's lock. A park may return for no reason, so
 * everything is decided by the waiter's own word. */
#include "internal.h"

struct posix_waiter {
    struct posix_waiter *next, *previous;
    uint64_t handle;
    _Atomic uint32_t woken; /* set last by the waker: from then on the waiter may be gone */
};

static void append(struct posix_wait_queue *queue, struct posix_waiter *waiter)
{
    waiter->next = NULL;
    waiter->previous = queue->last;
    if (queue->last != NULL) {
        queue->last->next = waiter;
    } else {
        queue->first = waiter;
    }
    queue->last = waiter;
}

static void unlink_waiter(struct posix_wait_queue *queue, struct posix_waiter *waiter)
{
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        queue->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    } else {
        queue->last = waiter->previous;
    }
}

/* @impl ATL-LLR-FILE-1350~1 */
int64_t posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns)
{
    struct posix_thread *self = posix_self();
    int64_t result = 0;
    atomic_store_explicit(&self->is_waiting, true, memory_order_relaxed);
    while (atomic_load_explicit(woken, memory_order_acquire) == 0) {
        if (posix_signal_is_pending()) {
            result = -EINTR;
            break;
        }
        if (deadline_ns != GATE_NEVER && posix_now_ns() >= deadline_ns) {
            result = -ETIMEDOUT;
            break;
        }
        gate_park(deadline_ns, GATE_PARK_KEEP_EXTENDED);
    }
    atomic_store_explicit(&self->is_waiting, false, memory_order_relaxed);
    return result;
}

/* @impl ATL-LLR-POSIX-0011~1 */
int64_t posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock, uint64_t deadline_ns)
{
    struct posix_waiter waiter = {.handle = posix_thread_handle(posix_self())};
    append(queue, &waiter);
    posix_lock_release(lock);
    int64_t result = posix_park(&waiter.woken, deadline_ns);
    if (result == 0) {
        return 0;
    }
    posix_lock_acquire(lock);
    if (atomic_load_explicit(&waiter.woken, memory_order_relaxed) != 0) {
        result = 0; /* woken between giving up and the lock: the wake was meant for us */
    } else {
        unlink_waiter(queue, &waiter);
    }
    posix_lock_release(lock);
    return result;
}

uint64_t posix_wake_first(struct posix_wait_queue *queue)
{
    struct posix_waiter *waiter = queue->first;
    if (waiter == NULL) {
        return 0;
    }
    uint64_t handle = waiter->handle;
    unlink_waiter(queue, waiter);
    atomic_store_explicit(&waiter->woken, 1, memory_order_release);
    return handle;
}

void posix_release_and_unpark(struct posix_lock *lock, uint64_t handle)
{
    posix_lock_release(lock);
    if (handle != 0) {
        gate_unpark(handle, 0);
    }
}

uint32_t posix_wake(struct posix_wait_queue *queue, uint32_t count)
{
    uint32_t woken = 0;
    for (; woken < count && queue->first != NULL; woken++) {
        gate_unpark(posix_wake_first(queue), 0);
    }
    return woken;
}
