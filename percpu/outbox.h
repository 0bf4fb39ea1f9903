/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox of a core: everything that it writes for other cores, and nothing else. It alone maps
 * it writable. n cores, t threads on each, b blocks of 2 MiB in the machine:
 *
 *     offset 0      struct outbox_state       what this core does now            192 bytes
 *                   struct outbox_peer [n]    for each peer p: the ring to p     4224 bytes each
 *                       head, groups            ours, read by p
 *                       tail, groups_seen       ours, of p's ring and signals to us, read by p
 *                       slot 0 | 1 | ... | 63
 *                   struct outbox_signals [n][g]   g = t / 64 rounded up: leaves of p's signals
 *                   uint32_t generation [t]   of our threads, 0: free
 *                   uint8_t owner [b]         of the blocks whose home we are: 0 home, or core + 1
 *                   struct trace_ring         what this core did last
 *
 * Each part begins on a cache line. Every word has one writer, so it is stored without a locked
 * instruction; the writer keeps a private copy where it needs the value often.
 *
 * Signals have two levels. Thread i belongs to group i / 64. Leaf bit i is pending while the
 * sender's .unpark (or .interrupt) differs from the receiver's .unpark_seen (.interrupt_seen); bit
 * g of the sender's .groups differs from the receiver's .groups_seen while leaves of group g may be
 * pending. */
#ifndef PERCPU_OUTBOX_H
#define PERCPU_OUTBOX_H

#include <percpu/channel.h>
#include <percpu/queue.h>
#include <percpu/scheduler.h>
#include <percpu/trace.h>

#define OUTBOX_LINE 64u
#define OUTBOX_SLOTS (2u * PERCPU_REQUESTS_MAX)
#define OUTBOX_GROUP_THREADS 64u

/* attention: even: the core takes what is there before it does anything else; odd: it needs an
 * interrupt. Each drain makes a new odd value. 64 bits: never the same twice. */
struct outbox_state {
    alignas(OUTBOX_LINE) _Atomic uint64_t attention;
    alignas(OUTBOX_LINE) _Atomic uint64_t cell;
    alignas(OUTBOX_LINE) _Atomic uint32_t ready; /* threads, with balanced placement; a hint */
};
_Static_assert(sizeof(struct outbox_state) == 3 * OUTBOX_LINE, "three lines");

struct outbox_peer {
    alignas(OUTBOX_LINE) _Atomic uint64_t groups;
    _Atomic uint32_t head;
    alignas(OUTBOX_LINE) _Atomic uint64_t groups_seen;
    _Atomic uint32_t tail;
    alignas(OUTBOX_LINE) struct percpu_message slots[OUTBOX_SLOTS];
};
_Static_assert(sizeof(struct outbox_peer) == (2 + OUTBOX_SLOTS) * OUTBOX_LINE, "a line for each");
_Static_assert((OUTBOX_SLOTS & (OUTBOX_SLOTS - 1)) == 0, "positions wrap at 2^32");

struct outbox_signals {
    _Atomic uint64_t unpark, interrupt;           /* to the peer */
    _Atomic uint64_t unpark_seen, interrupt_seen; /* of the peer's */
};
_Static_assert(sizeof(struct outbox_signals) == 32, "two groups in a line");
_Static_assert(PERCPU_THREADS_MAX <= 64 * OUTBOX_GROUP_THREADS, "a group is a bit of a word");
_Static_assert(CORE_COUNT_MAX < UINT8_MAX, "an owner is a byte");

/* This core's view of one outbox, computed once. */
struct outbox {
    struct outbox_state *state;
    struct outbox_peer *peers;      /* [core_count] */
    struct outbox_signals *signals; /* [core_count * percpu_group_count] */
    _Atomic uint32_t *generations;  /* [thread_count] */
    _Atomic uint8_t *owners;        /* [block count] */
    struct trace_ring *trace;
};

extern PERCORE struct percpu_config percpu_config;
extern PERCORE uint32_t percpu_group_count;

extern PERCORE struct outbox percpu_outboxes[CORE_COUNT_MAX];

/* Inline: each message and signal looks here several times. */
static inline const struct outbox *outbox_of_remote(core_id_t core)
{
    ASSERT(core.value < percpu_core_count);
    return &percpu_outboxes[core.value];
}

static inline const struct outbox *outbox_own(void)
{
    return &percpu_outboxes[percpu_self.value];
}

/* All earlier stores of this core are visible to everybody before any later load. */
static inline void outbox_full_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* After something was published to `to` (all of it stored): interrupts it if it needs that. */
void outbox_notify_remote(core_id_t to);

/* What this core knows about its channels with one peer. The entry of this core itself is that of a
 * peer that never sends: both sides are one part of its own outbox, which nobody writes. */
struct channel {
    struct outbox_peer *own;           /* our part for the peer */
    const struct outbox_peer *peer;    /* the peer's part for us */
    struct outbox_signals *own_leaves; /* [percpu_group_count], as above */
    const struct outbox_signals *peer_leaves;
    uint32_t head;               /* of our ring to the peer */
    uint32_t tail;               /* of the peer's ring to us */
    uint32_t credits;            /* free */
    uint32_t deferred;           /* the peer's requests that we have not answered */
    uint64_t groups_seen;        /* as we have published it */
    struct thread_queue waiting; /* for a credit */
};

extern PERCORE struct channel percpu_channels[CORE_COUNT_MAX];

static inline struct channel *channel_to(core_id_t to)
{
    ASSERT(to.value < percpu_core_count && to.value != percpu_self.value);
    return &percpu_channels[to.value];
}

/* signal.c, for drain: takes the signals of one peer. */
void signal_take(struct channel *channel);

/* True if a drain would find something. */
bool channel_has_work(void);

/* The other parts' shares of percpu_initialize. */
void channel_initialize(void);
void thread_initialize(void);
void scheduler_initialize(void);
void grant_initialize(void);
void frames_initialize(void);

#endif
