/* SPDX-License-Identifier: Apache-2.0 */
/* Unpark and interrupt signals between cores: two levels of toggle bits (outbox.h), so that a
 * signal merges with one that is pending and none is ever lost (models/credits_wakeup.pml,
 * SIGNALS). */
#include "outbox.h"

/* Makes our bit differ from the receiver's acknowledging bit; false if it did already.
 * Equal bits stay equal until we change ours. A pending bit may have been acknowledged with what
 * the receiver saw before our latest stores, unless a fence lies between those and the look at the
 * bit: it pairs with the fence behind the acknowledgement in signal_take. */
static bool toggle(_Atomic uint64_t *own, const _Atomic uint64_t *seen, uint64_t bit)
{
    uint64_t value = atomic_load_explicit(own, memory_order_relaxed);
    if (((value ^ atomic_load_explicit(seen, memory_order_acquire)) & bit) != 0) {
        outbox_full_fence();
        if (((value ^ atomic_load_explicit(seen, memory_order_acquire)) & bit) != 0) {
            return false;
        }
    }
    atomic_store_explicit(own, value ^ bit, memory_order_release);
    return true;
}

static void send_remote(core_id_t core, uint32_t index, bool interrupt)
{
    uint32_t group = index / OUTBOX_GROUP_THREADS;
    uint64_t bit = 1ull << (index % OUTBOX_GROUP_THREADS);
    const struct channel *channel = channel_to(core);
    struct outbox_signals *own = &channel->own_leaves[group];
    const struct outbox_signals *seen = &channel->peer_leaves[group];
    bool is_new = interrupt ? toggle(&own->interrupt, &seen->interrupt_seen, bit)
                            : toggle(&own->unpark, &seen->unpark_seen, bit);
    if (!is_new) {
        return;
    }
    TRACE(TRACE_SIGNAL, core.value, index, interrupt);
    PERCPU_PERTURB();
    if (toggle(&channel->own->groups, &channel->peer->groups_seen, 1ull << group)) {
        PERCPU_PERTURB();
        outbox_notify_remote(core);
    }
}

/* @impl ATL-LLR-PERCPU-0007~1
 * @impl ATL-LLR-PERCPU-0008~1 */
enum result percpu_signal_send_remote(core_id_t core, uint32_t index, uint32_t generation,
                                      bool interrupt)
{
    if (core.value >= percpu_core_count || index >= percpu_config.thread_count || generation == 0) {
        return RESULT_NO_THREAD;
    }
    const _Atomic uint32_t *published = &outbox_of_remote(core)->generations[index];
    if (atomic_load_explicit(published, memory_order_acquire) != generation) {
        return RESULT_NO_THREAD;
    }
    if (core.value == percpu_self.value) {
        percpu_unpark(&percpu_config.threads[index], interrupt);
    } else {
        send_remote(core, index, interrupt);
    }
    return RESULT_OK;
}

/* Acknowledges the sender's bits; returns those that were pending. */
static uint64_t acknowledge(_Atomic uint64_t *seen, const _Atomic uint64_t *bits)
{
    uint64_t now = atomic_load_explicit(bits, memory_order_acquire);
    uint64_t pending = now ^ atomic_load_explicit(seen, memory_order_relaxed);
    if (pending != 0) {
        atomic_store_explicit(seen, now, memory_order_release);
    }
    return pending;
}

static void deliver(uint32_t group, uint64_t pending, bool interrupt)
{
    while (pending != 0) {
        uint32_t index = group * OUTBOX_GROUP_THREADS + (uint32_t)__builtin_ctzll(pending);
        pending &= pending - 1;
        ASSERT(index < percpu_config.thread_count);
        struct thread *thread = &percpu_config.threads[index];
        if (thread->state != THREAD_FREE) {
            percpu_unpark(thread, interrupt);
        }
    }
}

/* Each fence keeps a later look (leaves, or the thread's own memory) behind the acknowledgement: a
 * sender that found the bit pending relies on that look. */
void signal_take(struct channel *channel)
{
    uint64_t groups = atomic_load_explicit(&channel->peer->groups, memory_order_acquire);
    uint64_t pending_groups = groups ^ channel->groups_seen;
    channel->groups_seen = groups;
    atomic_store_explicit(&channel->own->groups_seen, groups, memory_order_release);
    PERCPU_PERTURB();
    outbox_full_fence();
    while (pending_groups != 0) {
        uint32_t group = (uint32_t)__builtin_ctzll(pending_groups);
        pending_groups &= pending_groups - 1;
        const struct outbox_signals *leaf = &channel->peer_leaves[group];
        struct outbox_signals *own = &channel->own_leaves[group];
        uint64_t unparked = acknowledge(&own->unpark_seen, &leaf->unpark);
        uint64_t interrupted = acknowledge(&own->interrupt_seen, &leaf->interrupt);
        outbox_full_fence();
        deliver(group, unparked, false);
        deliver(group, interrupted, true);
    }
}
