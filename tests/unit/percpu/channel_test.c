/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, credits, the credit queue, replies. Cores are host threads that the main thread orders to
 * act one after another; the last tests let them run freely. */
#include "check.h"
#include "random.h"

#include <host.h>
#include <outbox.h>
#include <percpu/channel.h>

#define KIND PERCPU_MESSAGE_CALL
#define LOG_MAX 256u

/* What cores saw; each test has one writer at a time. */
static struct percpu_message log_requests[LOG_MAX], log_replies[LOG_MAX];
static uint32_t log_request_count, log_reply_count;
static uint64_t order_log[LOG_MAX];
static uint32_t order_count;
static uint64_t credits_seen;
static enum result result_seen;

static void request_keep(core_id_t from, const struct percpu_message *request)
{
    HOST_CHECK(from.value != percpu_self.value && log_request_count < LOG_MAX);
    log_requests[log_request_count++] = *request;
}

static void request_echo(core_id_t from, const struct percpu_message *request)
{
    struct percpu_message reply = *request;
    reply.arguments[0] += 1;
    percpu_channel_reply(from, &reply);
}

static void reply_keep(core_id_t from, const struct percpu_message *reply)
{
    HOST_CHECK(from.value == 1 && reply->is_reply && log_reply_count < LOG_MAX);
    log_replies[log_reply_count++] = *reply;
}

static void handlers(void *request_handler)
{
    percpu_channel_handle(KIND, *(percpu_request_handler *)request_handler, reply_keep);
}

static void start(percpu_request_handler handler)
{
    log_request_count = 0;
    log_reply_count = 0;
    order_count = 0;
    host_start(&(struct host_config){.core_count = 2, .thread_count = 64});
    for (uint16_t core = 0; core < 2; core++) {
        host_on(core, handlers, &handler);
    }
}

static void drain(void *none)
{
    (void)none;
    percpu_channel_drain();
    credits_seen = percpu_channel_credits_free();
}

static void send(void *value)
{
    struct percpu_message request = {.kind = KIND, .status = 5};
    request.arguments[0] = *(uint64_t *)value;
    request.arguments[5] = ~*(uint64_t *)value;
    result_seen = percpu_channel_request((core_id_t){(uint16_t)(1 - percpu_self.value)}, &request);
}

static void reply_to_kept(void *index)
{
    percpu_channel_reply((core_id_t){0}, &log_requests[*(uint32_t *)index]);
}

static void send_many(uint32_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        host_on(0, send, &i);
        CHECK_EQUAL(result_seen, RESULT_OK);
    }
}

/* @verifies ATL-LLR-PERCPU-0001~1
 * @verifies ATL-LLR-PERCPU-0003~1 */
TEST(rings_wrap_and_keep_order_and_content)
{
    start(request_echo);
    uint64_t number = 0;
    for (uint32_t round = 0; round < 50; round++) {
        log_reply_count = 0;
        uint32_t burst = 1 + round % PERCPU_REQUESTS_MAX;
        for (uint32_t i = 0; i < burst; i++, number++) {
            host_on(0, send, &number);
            CHECK_EQUAL(result_seen, RESULT_OK);
        }
        host_on(1, drain, NULL);
        host_on(0, drain, NULL);
        CHECK_EQUAL(log_reply_count, burst);
        for (uint32_t i = 0; i < burst; i++) {
            uint64_t sent = number - burst + i;
            CHECK_EQUAL(log_replies[i].kind, KIND);
            CHECK_EQUAL(log_replies[i].status, 5);
            CHECK_EQUAL(log_replies[i].arguments[0], sent + 1);
            CHECK_EQUAL(log_replies[i].arguments[5], ~sent);
        }
    }
    host_stop();
}

/* @verifies ATL-LLR-PERCPU-0002~1 @robust */
TEST(credits_exhaust_and_recover)
{
    start(request_keep);
    send_many(PERCPU_REQUESTS_MAX);
    uint64_t extra = 1000;
    host_on(0, send, &extra);
    CHECK_EQUAL(result_seen, RESULT_AGAIN);
    host_on(1, drain, NULL);
    CHECK_EQUAL(log_request_count, PERCPU_REQUESTS_MAX);
    /* Taken is not answered: still no credit. */
    host_on(0, drain, NULL);
    CHECK_EQUAL(credits_seen, 0);
    host_on(0, send, &extra);
    CHECK_EQUAL(result_seen, RESULT_AGAIN);
    /* Answers in another order. */
    for (uint32_t i = PERCPU_REQUESTS_MAX; i-- > 0;) {
        host_on(1, reply_to_kept, &i);
    }
    host_on(0, drain, NULL);
    CHECK_EQUAL(credits_seen, PERCPU_REQUESTS_MAX);
    CHECK_EQUAL(log_reply_count, PERCPU_REQUESTS_MAX);
    CHECK_EQUAL(log_replies[0].arguments[0], PERCPU_REQUESTS_MAX - 1);
    host_on(0, send, &extra);
    CHECK_EQUAL(result_seen, RESULT_OK);
    host_stop();
}

/* @verifies ATL-LLR-PERCPU-0003~1 @robust */
TEST(a_full_ring_still_has_room_for_every_reply)
{
    start(request_keep);
    send_many(PERCPU_REQUESTS_MAX);
    host_on(1, drain, NULL);
    /* Core 1 fills its ring: all its own requests, then all replies; core 0 takes nothing yet. */
    for (uint64_t i = 0; i < PERCPU_REQUESTS_MAX; i++) {
        host_on(1, send, &i);
        CHECK_EQUAL(result_seen, RESULT_OK);
    }
    for (uint32_t i = 0; i < PERCPU_REQUESTS_MAX; i++) {
        host_on(1, reply_to_kept, &i);
    }
    host_stop();
}

static void queue_continue(struct thread *thread, const struct percpu_message *message)
{
    HOST_CHECK(message == NULL || message->token == percpu_thread_handle(thread));
    order_log[order_count++] = thread->work[0] * 2 + (message != NULL);
    if (message == NULL) {
        struct percpu_message request = {.kind = KIND, .token = percpu_thread_handle(thread)};
        enum result sent = percpu_channel_request((core_id_t){1}, &request);
        HOST_CHECK(sent == RESULT_OK);
    } else {
        percpu_thread_free(thread);
    }
}

static void queue_thread(void *number)
{
    struct thread *thread;
    enum result made = percpu_thread_allocate(&thread);
    HOST_CHECK(made == RESULT_OK);
    thread->work[0] = *(uint64_t *)number;
    thread->continuation = queue_continue;
    percpu_channel_await_credit((core_id_t){1}, thread);
}

/* @verifies ATL-LLR-PERCPU-0004~1 */
TEST(threads_get_credits_in_the_order_of_asking)
{
    start(request_keep);
    send_many(PERCPU_REQUESTS_MAX);
    for (uint64_t i = 0; i < 5; i++) {
        host_on(0, queue_thread, &i);
    }
    host_on(0, drain, NULL);
    CHECK_EQUAL(order_count, 0);
    host_on(1, drain, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        host_on(1, reply_to_kept, &i);
    }
    host_on(0, drain, NULL);
    CHECK_EQUAL(order_count, 3);
    for (uint32_t i = 3; i < PERCPU_REQUESTS_MAX; i++) {
        host_on(1, reply_to_kept, &i);
    }
    host_on(0, drain, NULL);
    CHECK_EQUAL(order_count, 5);
    host_on(1, drain, NULL);
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t kept = PERCPU_REQUESTS_MAX + i;
        host_on(1, reply_to_kept, &kept);
    }
    host_on(0, drain, NULL);
    CHECK_EQUAL(order_count, 10);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQUAL(order_log[i], 2 * i);         /* credit */
        CHECK_EQUAL(order_log[5 + i], 2 * i + 1); /* reply */
    }
    CHECK_EQUAL(credits_seen, PERCPU_REQUESTS_MAX);
    host_stop();
}

/* @verifies ATL-LLR-PERCPU-0004~1 */
TEST(a_thread_that_queues_while_credits_are_free_is_continued)
{
    uint64_t number = 3;
    start(request_keep);
    host_on(0, queue_thread, &number);
    host_on(0, drain, NULL);
    CHECK_EQUAL(order_count, 1);
    CHECK_EQUAL(order_log[0], 6);
    host_stop();
}

/* Core 1 does not run: what it published is written by hand. */
static void enter(void)
{
    log_request_count = 0;
    host_enter(&(struct host_config){.core_count = 2, .thread_count = 64});
    percpu_request_handler handler = request_keep;
    handlers(&handler);
}

static void publish_attention(uint64_t value)
{
    atomic_store(&outbox_of_remote((core_id_t){1})->state->attention, value);
}

/* @verifies ATL-LLR-PERCPU-0005~1 */
TEST(one_interrupt_for_each_time_that_the_receiver_needs_one)
{
    uint64_t value = 1;
    enter();
    send(&value); /* attention 0: has not started */
    CHECK_EQUAL(host_ipis_sent, 0);
    publish_attention(1);
    send(&value);
    send(&value);
    CHECK_EQUAL(host_ipis_sent, 1);
    publish_attention(2); /* takes messages */
    send(&value);
    CHECK_EQUAL(host_ipis_sent, 1);
    publish_attention(3);
    send(&value);
    CHECK_EQUAL(host_ipis_sent, 2);
    CHECK_EQUAL(atomic_load(&outbox_own()->peers[1].head), 5);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0005~1 */
TEST(each_drain_asks_for_an_interrupt_anew)
{
    enter();
    const _Atomic uint64_t *attention = &outbox_own()->state->attention;
    uint64_t before = atomic_load(attention);
    CHECK_EQUAL(before, 0);
    for (uint32_t i = 0; i < 5; i++) {
        percpu_channel_drain();
        CHECK(atomic_load(attention) > before && (atomic_load(attention) & 1) == 1);
        before = atomic_load(attention);
    }
    host_leave();
}

static void write_request(uint16_t kind, uint32_t head)
{
    struct outbox_peer *ring = &outbox_of_remote((core_id_t){1})->peers[0];
    for (uint32_t i = 0; i < OUTBOX_SLOTS; i++) {
        ring->slots[i] = (struct percpu_message){.kind = kind};
    }
    atomic_store(&ring->head, head);
}

/* @verifies ATL-LLR-PERCPU-0006~1 @robust */
TEST(broken_invariants_of_a_peer_stop_the_machine)
{
    uint64_t value = 1;
    enter();
    CHECK_ABORTS((write_request(PERCPU_MESSAGE_NONE, 1), percpu_channel_drain()));
    CHECK_ABORTS((write_request(PERCPU_MESSAGE_KINDS, 1), percpu_channel_drain()));
    CHECK_ABORTS((write_request(PERCPU_MESSAGE_MAP, 1), percpu_channel_drain()));
    CHECK_ABORTS((write_request(KIND, OUTBOX_SLOTS + 1), percpu_channel_drain()));
    CHECK_ABORTS((write_request(KIND, PERCPU_REQUESTS_MAX + 1), percpu_channel_drain()));
    CHECK_ABORTS(percpu_channel_reply((core_id_t){1}, &(struct percpu_message){.kind = KIND}));
    CHECK_ABORTS((void)percpu_channel_request(percpu_self, &(struct percpu_message){.kind = KIND}));
    CHECK_ABORTS(percpu_channel_handle(KIND, request_keep, NULL));
    write_request(KIND, PERCPU_REQUESTS_MAX);
    CHECK(channel_has_work());
    percpu_channel_drain();
    CHECK_EQUAL(log_request_count, PERCPU_REQUESTS_MAX);
    CHECK(!channel_has_work());
    CHECK(!percpu_channel_is_due);
    send(&value);
    CHECK_EQUAL(result_seen, RESULT_OK);
    host_leave();
}

#define CORES 4u
#define CLIENTS 40u /* on each core: more than credits to one peer */
#define CALLS 400u  /* of each client */

static _Atomic uint32_t clients_left;

static void client_replied(struct thread *thread, const struct percpu_message *reply);

static void client_call(struct thread *thread, const struct percpu_message *none)
{
    (void)none;
    core_id_t to = {(uint16_t)((percpu_self.value + 1 + thread->work[1] % (CORES - 1)) % CORES)};
    struct percpu_message request = {.kind = KIND, .token = percpu_thread_handle(thread)};
    request.arguments[0] = thread->work[0];
    if (percpu_channel_request(to, &request) == RESULT_OK) {
        percpu_thread_wait(thread, client_replied);
    } else {
        percpu_thread_wait(thread, client_call);
        percpu_channel_await_credit(to, thread);
    }
}

static void client_replied(struct thread *thread, const struct percpu_message *reply)
{
    HOST_CHECK(reply->arguments[0] == thread->work[0] + 1);
    percpu_thread_ready(thread);
}

static void client_step(struct thread *thread)
{
    if (thread->work[0] == CALLS) {
        percpu_thread_free(thread);
        if (atomic_fetch_sub(&clients_left, 1) == 1) {
            host_finish();
        }
        return;
    }
    thread->work[0]++;
    uint64_t random = thread->work[2] + 1;
    thread->work[1] = random_below(&random, CORES - 1);
    thread->work[2] = random;
    client_call(thread, NULL);
}

static void clients_run(void *none)
{
    (void)none;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct thread *thread = host_thread_start(client_step, 16);
        thread->work[2] = percpu_self.value * CLIENTS + i + 1;
    }
    host_loop();
    HOST_CHECK(percpu_channel_credits_free() == PERCPU_REQUESTS_MAX * (percpu_core_count - 1u));
    HOST_CHECK(percpu_threads_live == 0);
}

static void echo_prepare(void *none)
{
    (void)none;
    percpu_channel_handle(KIND, request_echo, NULL);
}

/* @verifies ATL-LLR-PERCPU-0006~1 */
TEST(four_cores_call_each_other_and_every_credit_comes_back)
{
    atomic_store(&clients_left, CORES * CLIENTS);
    host_start(&(struct host_config){.core_count = CORES, .thread_count = 64, .seed = 42});
    host_on_all(echo_prepare, NULL);
    host_on_all(clients_run, NULL);
    host_stop();
}

CHECK_MAIN()
