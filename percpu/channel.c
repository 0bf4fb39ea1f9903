/* SPDX-License-Identifier: Apache-2.0 */
/* Rings of messages between two cores, credits, and the drain. The order of fields in memory is
 * outbox.h's, the proof of credits and wake-ups models/credits_wakeup.pml's; signals are
 * signal.c's. */
#include "outbox.h"

#include <percpu/operations.h>

/* Passes of one drain before a flooded core goes on with its own work. */
#define DRAIN_PASSES_MAX 4u

PERCORE struct channel percpu_channels[CORE_COUNT_MAX];
static PERCORE struct handlers {
    percpu_request_handler request, reply;
} handlers[PERCPU_MESSAGE_KINDS];
static PERCORE uint64_t attention;
PERCORE bool percpu_channel_is_due;

void channel_initialize(void)
{
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        percpu_channels[core] = (struct channel){
            .own = &outbox_own()->peers[core],
            .peer = &outbox_of_remote((core_id_t){core})->peers[percpu_self.value],
            .own_leaves = &outbox_own()->signals[core * percpu_group_count],
            .peer_leaves = &outbox_of_remote((core_id_t){core})
                                ->signals[percpu_self.value * percpu_group_count],
            .credits = PERCPU_REQUESTS_MAX,
        };
    }
    percpu_channel_is_due = true; /* attention is even: nobody interrupts us yet */
}

static bool is_kind(uint32_t kind)
{
    return kind > PERCPU_MESSAGE_NONE && kind < PERCPU_MESSAGE_KINDS;
}

static bool waits(const struct thread *thread)
{
    return thread->state == THREAD_WAITING && thread->continuation != NULL;
}

void percpu_channel_handle(enum percpu_message_kind kind, percpu_request_handler request,
                           percpu_request_handler reply)
{
    ASSERT(is_kind(kind));
    ASSERT(handlers[kind].request == NULL && request != NULL);
    handlers[kind] = (struct handlers){request, reply};
}

/* Credits guarantee room; the tail, which may be older than what they know, must agree.
 * @impl ATL-LLR-PERCPU-0601~1 */
static void transmit(core_id_t to, const struct percpu_message *message, bool is_reply)
{
    struct channel *channel = channel_to(to);
    ASSERT(is_kind(message->kind));
    uint32_t tail = atomic_load_explicit(&channel->peer->tail, memory_order_acquire);
    ASSERT(channel->head - tail < OUTBOX_SLOTS);
    struct percpu_message *slot = &channel->own->slots[channel->head % OUTBOX_SLOTS];
    *slot = *message;
    slot->is_reply = is_reply;
    TRACE(TRACE_SEND, to.value, channel->head, message->kind);
    channel->head++;
    PERCPU_PERTURB();
    atomic_store_explicit(&channel->own->head, channel->head, memory_order_release);
    PERCPU_PERTURB();
    outbox_notify_remote(to);
}

/* @impl ATL-LLR-PERCPU-0001~1
 * @impl ATL-LLR-PERCPU-0002~1 */
enum result percpu_channel_request(core_id_t to, const struct percpu_message *request)
{
    struct channel *channel = channel_to(to);
    if (channel->credits == 0) {
        return RESULT_AGAIN;
    }
    channel->credits--;
    transmit(to, request, false);
    return RESULT_OK;
}

/* @impl ATL-LLR-PERCPU-0003~1 */
void percpu_channel_reply(core_id_t to, const struct percpu_message *reply)
{
    struct channel *channel = channel_to(to);
    ASSERT(channel->deferred > 0);
    channel->deferred--;
    transmit(to, reply, true);
}

/* @impl ATL-LLR-PERCPU-0004~1 */
void percpu_channel_await_credit(core_id_t to, struct thread *thread)
{
    struct channel *channel = channel_to(to);
    ASSERT(waits(thread));
    thread_queue_append(&channel->waiting, thread);
    if (channel->credits > 0) {
        percpu_channel_is_due = true;
    }
}

/* @impl ATL-LLR-PERCPU-0004~1 ATL-LLR-PERCPU-1412~1 */
void percpu_channel_call(core_id_t to, struct percpu_message *request, struct thread *thread,
                         thread_continuation continuation)
{
    request->token = percpu_thread_handle(thread);
    percpu_thread_wait(thread, continuation);
    if (percpu_channel_request(to, request) != RESULT_OK) {
        percpu_channel_await_credit(to, thread);
    }
}

/* Continues queued threads while credits last. A thread that queues again waits for the next
 * credit, so the walk ends with the thread that was last at its start. */
static void credits_distribute(struct channel *channel)
{
    struct thread *last = channel->waiting.last;
    while (channel->waiting.first != NULL && channel->credits > 0) {
        struct thread *thread = thread_queue_take(&channel->waiting);
        ASSERT(waits(thread));
        thread->continuation(thread, NULL);
        if (thread == last) {
            break;
        }
    }
}

static void reply_deliver(core_id_t from, struct channel *channel,
                          const struct percpu_message *reply)
{
    ASSERT(channel->credits < PERCPU_REQUESTS_MAX);
    channel->credits++;
    credits_distribute(channel);
    if (reply->token == 0) {
        if (handlers[reply->kind].reply != NULL) {
            handlers[reply->kind].reply(from, reply);
        }
        return;
    }
    struct thread *thread = percpu_thread_find(reply->token);
    ASSERT(thread != NULL && waits(thread));
    thread->continuation(thread, reply);
}

static void request_deliver(core_id_t from, struct channel *channel,
                            const struct percpu_message *request)
{
    ASSERT(channel->deferred < PERCPU_REQUESTS_MAX);
    ASSERT(handlers[request->kind].request != NULL);
    channel->deferred++;
    handlers[request->kind].request(from, request);
}

/* Takes at most one ring's length from one peer. */
static void ring_take(core_id_t from, struct channel *channel)
{
    uint32_t head = atomic_load_explicit(&channel->peer->head, memory_order_acquire);
    ASSERT(head - channel->tail <= OUTBOX_SLOTS);
    while (channel->tail != head) {
        struct percpu_message message = channel->peer->slots[channel->tail % OUTBOX_SLOTS];
        TRACE(TRACE_RECEIVE, from.value, channel->tail, message.kind);
        channel->tail++;
        /* Before the handler, which may answer: the answer must not be overtaken by the tail. */
        atomic_store_explicit(&channel->own->tail, channel->tail, memory_order_release);
        PERCPU_PERTURB();
        ASSERT(is_kind(message.kind));
        if (message.is_reply) {
            reply_deliver(from, channel, &message);
        } else {
            request_deliver(from, channel, &message);
        }
    }
}

static bool signal_is_pending(const struct channel *channel)
{
    return atomic_load_explicit(&channel->peer->groups, memory_order_acquire) !=
           channel->groups_seen;
}

static void attention_publish(uint64_t value)
{
    attention = value;
    atomic_store_explicit(&outbox_own()->state->attention, value, memory_order_release);
}

static void take_everything(void)
{
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        struct channel *channel = &percpu_channels[core];
        if (core == percpu_self.value) {
            continue;
        }
        ring_take((core_id_t){core}, channel);
        if (signal_is_pending(channel)) {
            signal_take(channel);
        }
        if (channel->waiting.first != NULL) {
            credits_distribute(channel);
        }
    }
}

bool channel_has_work(void)
{
    const struct channel *end = &percpu_channels[percpu_core_count];
    for (const struct channel *channel = percpu_channels; channel < end; channel++) {
        if (atomic_load_explicit(&channel->peer->head, memory_order_acquire) != channel->tail ||
            signal_is_pending(channel)) {
            return true;
        }
    }
    return percpu_channel_is_due;
}

/* @impl ATL-LLR-PERCPU-0005~1
 * @impl ATL-LLR-PERCPU-0006~1 */
void percpu_channel_drain(void)
{
    for (uint32_t pass = 0; pass < DRAIN_PASSES_MAX; pass++) {
        percpu_channel_is_due = false;
        attention_publish(attention + 2 - (attention & 1));
        take_everything();
        attention_publish(attention + 1);
        PERCPU_PERTURB();
        outbox_full_fence();
        if (!channel_has_work()) {
            return;
        }
    }
    /* Those senders saw an even word and sent no interrupt: we do. */
    percpu_operation_ipi(percpu_self);
}

uint64_t percpu_channel_credits_free(void)
{
    uint64_t sum = 0;
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        sum += percpu_channels[core].credits;
    }
    return sum - percpu_channels[percpu_self.value].credits;
}
