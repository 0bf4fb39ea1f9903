/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between cores. For every ordered pair of cores one ring of 64-byte messages; everything
 * that core c writes for others (ring slots and heads, its tails, signal bits, ownership, TLB
 * state) lies in c's outbox: one region that c maps writable and all others read-only.
 *
 * Credits: a core has PERCPU_REQUESTS_MAX requests under way to each peer at most; each holds room
 * in the ring for itself and, on the way back, for its reply. So a reply never fails and nothing
 * ever waits for room. A ring holds 2 * PERCPU_REQUESTS_MAX messages: our requests + our replies.
 *
 * Signals (unpark, interrupt) are one bit for each thread of the receiver: pending while the
 * sender's bit differs from the receiver's acknowledging bit; they merge and never overflow.
 *
 * Error policy: lack of a credit and a stale handle are results. Everything that another core wrote
 * was written by the same trusted kernel: what breaks an invariant there is an ASSERT.
 * Non-goals: broadcast, priorities between messages, messages of more than a cache line.
 * Context of every function: own core, interrupts off, bounded work. */
#ifndef PERCPU_CHANNEL_H
#define PERCPU_CHANNEL_H

#include <percpu/base.h>
#include <percpu/thread.h>

#define PERCPU_REQUESTS_MAX 32u
#define PERCPU_MESSAGE_ARGUMENTS 6u

struct percpu_message {
    uint16_t kind; /* 0..PERCPU_MESSAGE_KINDS-1; a reply repeats its request's kind */
    uint16_t is_reply;
    int32_t status; /* of a reply: 0 or a negated errno */
    uint64_t token; /* the requester's: returned unchanged; a thread handle or 0 */
    uint64_t arguments[PERCPU_MESSAGE_ARGUMENTS];
};
_Static_assert(sizeof(struct percpu_message) == 64, "one cache line");

/* Kinds are given out here so that the trace and the fuzzers know them all. */
enum percpu_message_kind {
    PERCPU_MESSAGE_NONE,
    PERCPU_MESSAGE_CALL, /* of the gate, that concerns the receiver: its number and arguments */
    PERCPU_MESSAGE_THREAD_MOVE,
    PERCPU_MESSAGE_THREAD_ASK, /* an idle core asks for a thread, which comes by THREAD_MOVE */
    PERCPU_MESSAGE_MAP,
    PERCPU_MESSAGE_UNMAP,
    PERCPU_MESSAGE_PROTECT,
    PERCPU_MESSAGE_FAULT,
    PERCPU_MESSAGE_INVALIDATE,
    PERCPU_MESSAGE_FRAMES_RETURN,
    PERCPU_MESSAGE_BLOCK_GRANT, /* ask a core for a wholly free 2 MiB block */
    PERCPU_MESSAGE_BLOCK_HOME,  /* a regrant or a return through the home core */
    PERCPU_MESSAGE_KINDS,
};

/* A request arrived from core `from`. Must answer it now or later with percpu_channel_reply (same
 * kind and token). Runs on the receiver, inside its drain, bounded. The message is the callee's for
 * the time of the call. */
typedef void (*percpu_request_handler)(core_id_t from, const struct percpu_message *request);
/* Boot only, each core, once for each kind: who takes its requests, and those replies whose token
 * is 0 (NULL: they say nothing but that the credit is back). BLOCK_GRANT and BLOCK_HOME are taken
 * by percpu itself. */
void percpu_channel_handle(enum percpu_message_kind kind, percpu_request_handler request,
                           percpu_request_handler reply);

/* Sends a request. The reply goes to the continuation of the thread that token names, which must be
 * THREAD_WAITING with .continuation set when the reply is taken (and so must not be freed before),
 * or, with token 0, to the reply handler of the kind.
 *
 * @to         another core
 * @request    copied; kind 1..PERCPU_MESSAGE_KINDS-1, is_reply = 0
 * State:      takes one credit to `to`; it comes back before the reply is handed over
 * Ordering:   release of the ring's head: pairs with the acquire in the receiver's drain
 * Errors:     RESULT_AGAIN no credit, nothing sent; then see percpu_channel_await_credit */
enum result percpu_channel_request(core_id_t to, const struct percpu_message *request);
/* Answers a request; there is always room. @reply: copied; is_reply need not be set. The request
 * itself is an answer, too: its status is 0. */
void percpu_channel_reply(core_id_t to, const struct percpu_message *reply);
/* Queues a WAITING thread; its continuation is called with NULL once a credit to that core may be
 * free. FIFO: a credit that comes back goes to the first in the queue, before the reply's receiver
 * can take it. Uses thread->next. */
void percpu_channel_await_credit(core_id_t to, struct thread *thread);
/* Sends a request, whose token it sets, for a thread, which WAITs until its continuation is called:
 * with the reply, or with NULL: there was no credit, nothing was sent, and now it may be. */
void percpu_channel_call(core_id_t to, struct percpu_message *request, struct thread *thread,
                         thread_continuation continuation);

/* True when a drain is due: set at boot, by the carrier after each IPI, and when a thread queues
 * for a credit that is free. While it is false nobody need look at any channel: the last drain
 * left the attention word odd, so whoever has published since has sent an IPI, which this core
 * takes when it next enables interrupts (models/credits_wakeup.pml, label `idle`). */
extern PERCORE bool percpu_channel_is_due;

/* Takes everything that is there, messages first, then signals, and when it returns, whoever sends
 * something more will interrupt this core.
 *
 * Context:    own core, interrupts off; before the core returns to a thread or idles, if it is due;
 *             after every IPI, whatever there is to take: a sender sends one IPI between two drains
 *             at most
 * State:      bounded by the rings' size; a core that is flooded interrupts itself and goes on
 * later Ordering:   the attention word is published, then a full fence, then a last look: pairs
 * with the fence between a sender's publication and its look at our attention word; without the two
 * a message that arrives while we fall asleep is seen by neither side */
void percpu_channel_drain(void);

/* Sets a thread's unpark (and interrupt) signal on its core.
 *
 * @core, @index, @generation  any value; taken from a thread handle
 * Context:    own core, interrupts off; never blocks; a core may signal itself
 * Ordering:   what the caller wrote before is seen by the thread after it took its permit, also if
 *             the signal merged with one that was pending
 * Errors:     RESULT_NO_THREAD no such core or slot, or the published generation differs */
enum result percpu_signal_send_remote(core_id_t core, uint32_t index, uint32_t generation,
                                      bool interrupt);

/* Credits towards all peers that are free now, of PERCPU_REQUESTS_MAX to each. */
uint64_t percpu_channel_credits_free(void);

/* TLB state in the outbox: publishes the cell that this core's TLB may hold, 0: none.
 *
 * Context:    own core, interrupts off. A cell: before its root is loaded, which empties the TLB.
 *             0: after another root was loaded (a walk must not meet a table page that is reused)
 * Ordering:   full fence behind the store of a cell: pairs with percpu_cell_may_hold_remote. Either
 *             the unmapping core sees the cell here, or our walks see the cleared entry
 *             (models/invalidation.pml) */
void percpu_cell_publish(uint64_t cell_id);
/* True if core may hold translations of the cell; false is only returned when that core will flush
 * before it runs the cell again.
 *
 * Context:    own core, after the entries were cleared
 * Ordering:   full fence before the load: pairs with percpu_cell_publish */
bool percpu_cell_may_hold_remote(core_id_t core, uint64_t cell_id);

#endif
