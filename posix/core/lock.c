/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of posix/: one exchange when free; who finds one taken parks.
 *
 * A waiter pushes itself on the stack of its bucket and parks; the holder that releases a contended
 * lock takes the whole stack of the bucket and wakes everybody on it, who then try again. Taking
 * all at once keeps the stack free of locks and of reuse problems; buckets are rarely shared, so
 * rarely is a thread woken in vain. The holder may have been preempted: nobody spins for it. */
#include "internal.h"

#define FREE 0u
#define HELD 1u
#define CONTENDED 2u /* held, and the one who releases must look into the bucket */
#define BUCKET_COUNT 64u

struct waiter {
    struct waiter *next;
    uint64_t handle;
    _Atomic uint32_t woken;
};

struct bucket {
    alignas(64) _Atomic(struct waiter *) first;
};

static struct bucket buckets[BUCKET_COUNT];

static struct bucket *bucket_of(const struct posix_lock *lock)
{
    uint64_t mixed = (uint64_t)(uintptr_t)lock * 0x9e3779b97f4a7c15ull;
    return &buckets[mixed >> 58];
}
_Static_assert(BUCKET_COUNT == 1u << (64 - 58), "bucket_of takes the top bits");

__attribute__((noinline, cold)) static void wake_all(struct bucket *bucket)
{
    struct waiter *waiter = atomic_exchange(&bucket->first, NULL);
    while (waiter != NULL) {
        /* Copied first: with woken set the waiter's stack frame may be gone. */
        struct waiter *next = waiter->next;
        uint64_t handle = waiter->handle;
        atomic_store_explicit(&waiter->woken, 1, memory_order_release);
        gate_unpark(handle, 0);
        waiter = next;
    }
}

static void push(struct bucket *bucket, struct waiter *waiter)
{
    waiter->next = atomic_load_explicit(&bucket->first, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&bucket->first, &waiter->next, waiter)) {
    }
}

static void wait_for_wake(const struct waiter *waiter)
{
    while (atomic_load_explicit(&waiter->woken, memory_order_acquire) == 0) {
        gate_park(GATE_NEVER, GATE_PARK_KEEP_EXTENDED);
    }
}

/* Apart, so that the way of a free lock saves no registers for it. */
__attribute__((noinline, cold)) static void acquire_contended(struct posix_lock *lock)
{
    struct bucket *bucket = bucket_of(lock);
    for (;;) {
        struct waiter waiter = {.handle = posix_thread_handle(posix_self())};
        push(bucket, &waiter);
        /* Pushed, then marked: whoever releases after the mark finds us on the stack. */
        bool is_ours = atomic_exchange(&lock->state, CONTENDED) == FREE;
        if (is_ours) {
            wake_all(bucket); /* gets us off the stack, unless a releaser is just doing so */
        }
        wait_for_wake(&waiter);
        if (is_ours) {
            return;
        }
    }
}

/* @impl ATL-LLR-POSIX-0010~1 */
void posix_lock_acquire(struct posix_lock *lock)
{
    uint32_t expected = FREE;
    if (!atomic_compare_exchange_strong_explicit(&lock->state, &expected, HELD,
                                                 memory_order_acquire, memory_order_relaxed)) {
        acquire_contended(lock);
    }
}

void posix_lock_release(struct posix_lock *lock)
{
    if (atomic_exchange(&lock->state, FREE) == CONTENDED) {
        wake_all(bucket_of(lock));
    }
}
