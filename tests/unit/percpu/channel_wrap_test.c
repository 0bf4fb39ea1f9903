/* SPDX-License-Identifier: Apache-2.0 */
/* The positions of a ring are 32 bits that wrap. Nobody waits for 2^32 messages: this test has the
 * source of the channels itself, and presets the positions of both sides. */
#include "check.h"

#include <channel.c>
#include <host.h>

#define KIND PERCPU_MESSAGE_CALL
#define BEFORE_WRAP 40u
#define ROUNDS 30u

static uint64_t replies, sum;
static enum result sent;

static void echo(core_id_t from, const struct percpu_message *request)
{
    struct percpu_message reply = *request;
    percpu_channel_reply(from, &reply);
}

static void count(core_id_t from, const struct percpu_message *reply)
{
    HOST_CHECK(from.value == 1);
    replies++;
    sum += reply->arguments[0];
}

/* As after 2^32 - BEFORE_WRAP messages each way, all of them answered. */
static void preset(void *none)
{
    (void)none;
    struct channel *channel = &percpu_channels[1 - percpu_self.value];
    uint32_t position = 0u - BEFORE_WRAP;
    channel->head = channel->tail = position;
    atomic_store_explicit(&channel->own->head, position, memory_order_release);
    atomic_store_explicit(&channel->own->tail, position, memory_order_release);
    percpu_channel_handle(KIND, echo, count);
}

static void send(void *value)
{
    struct percpu_message request = {.kind = KIND, .arguments = {*(uint64_t *)value}};
    sent = percpu_channel_request((core_id_t){1}, &request);
}

static void drain_all(void *none)
{
    (void)none;
    percpu_channel_drain();
}

/* @verifies ATL-LLR-PERCPU-0001~1 @robust
 * @verifies ATL-LLR-PERCPU-0002~1 @robust */
TEST(positions_wrap_at_their_width)
{
    uint64_t number = 0, wanted = 0;
    host_start(&(struct host_config){.core_count = 2, .thread_count = 64});
    host_on(0, preset, NULL);
    host_on(1, preset, NULL);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < PERCPU_REQUESTS_MAX; i++, number++) {
            host_on(0, send, &number);
            CHECK_EQUAL(sent, RESULT_OK);
            wanted += number;
        }
        host_on(0, send, &number);
        CHECK_EQUAL(sent, RESULT_AGAIN); /* as many credits as ever */
        host_on(1, drain_all, NULL);
        host_on(0, drain_all, NULL);
        CHECK_EQUAL(replies, number);
        CHECK_EQUAL(sum, wanted);
    }
    host_stop();
}

CHECK_MAIN()
