/* SPDX-License-Identifier: Apache-2.0 */
/* The trace ring: the newest records in order, a count of all, and ids that join two cores. */
#include "check.h"

#include <host.h>
#include <outbox.h>

#define KIND PERCPU_MESSAGE_CALL

/* @verifies ATL-LLR-PERCPU-0600~1 */
TEST(newest_records_stay)
{
    host_enter(&(struct host_config){.core_count = 1, .thread_count = 64});
    struct trace_ring *ring = percpu_trace_ring;
    uint64_t before = atomic_load(&ring->count), last_ns = 0;
    for (uint64_t i = 0; i < 3 * TRACE_RECORDS; i++) {
        TRACE(TRACE_FAULT, (uint32_t)i, i, ~i);
    }
    CHECK_EQUAL(atomic_load(&ring->count), before + 3 * TRACE_RECORDS);
    for (uint64_t i = 0; i < TRACE_RECORDS; i++) {
        const struct trace_record *record =
            &ring->records[(before + 2 * TRACE_RECORDS + i) % TRACE_RECORDS];
        CHECK_EQUAL(record->event, TRACE_FAULT);
        CHECK_EQUAL(record->a, 2 * TRACE_RECORDS + i);
        CHECK_EQUAL(record->b, 2 * TRACE_RECORDS + i);
        CHECK_EQUAL(record->c, ~record->b);
        CHECK(record->time_ns >= last_ns);
        last_ns = record->time_ns;
    }
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0602~1 */
TEST(what_this_kernel_does_not_note_leaves_no_record)
{
    host_enter(&(struct host_config){.core_count = 1, .thread_count = 64});
    uint64_t before = atomic_load(&percpu_trace_ring->count);
    TRACE(TRACE_GATE_ENTER, 1, 2, 3);
    TRACE(TRACE_PARK, 1, 2, 3);
    CHECK_EQUAL(atomic_load(&percpu_trace_ring->count), before);
    TRACE(TRACE_SWITCH, 1, 0, 0);
    CHECK_EQUAL(atomic_load(&percpu_trace_ring->count), before + 1);
    host_leave();
}

static void request_answer(core_id_t from, const struct percpu_message *request)
{
    percpu_channel_reply(from, request);
}

static void reply_take(core_id_t from, const struct percpu_message *reply)
{
    HOST_CHECK(from.value == 1 && reply->kind == KIND);
}

static void handlers(void *unused)
{
    (void)unused;
    percpu_channel_handle(KIND, request_answer, reply_take);
}

static void send(void *unused)
{
    (void)unused;
    const struct percpu_message request = {.kind = KIND};
    HOST_CHECK(percpu_channel_request((core_id_t){1}, &request) == RESULT_OK);
}

static void drain(void *unused)
{
    (void)unused;
    percpu_channel_drain();
}

static const struct trace_ring *rings[2];

static void rings_look(void *unused)
{
    (void)unused;
    rings[0] = outbox_of_remote((core_id_t){0})->trace;
    rings[1] = outbox_of_remote((core_id_t){1})->trace;
}

/* The nth record of an event on a core, NULL: there are fewer. */
static const struct trace_record *find(uint16_t core, enum trace_event event, uint32_t nth)
{
    const struct trace_ring *ring = rings[core];
    for (uint64_t i = 0; i < atomic_load(&ring->count); i++) {
        if (ring->records[i].event == event && nth-- == 0) {
            return &ring->records[i];
        }
    }
    return NULL;
}

static void check_pair(uint16_t from, uint16_t to, uint32_t nth)
{
    const struct trace_record *sent = find(from, TRACE_SEND, nth);
    const struct trace_record *taken = find(to, TRACE_RECEIVE, nth);
    CHECK(sent != NULL && taken != NULL);
    if (sent != NULL && taken != NULL) {
        CHECK_EQUAL(sent->a, to);
        CHECK_EQUAL(taken->a, from);
        CHECK_EQUAL(sent->b, taken->b);
        CHECK_EQUAL(sent->b, nth);
        CHECK_EQUAL(sent->c, KIND);
        CHECK_EQUAL(taken->c, KIND);
    }
}

/* @verifies ATL-LLR-PERCPU-0601~1 */
TEST(both_ends_of_a_message_have_one_id)
{
    host_start(&(struct host_config){.core_count = 2, .thread_count = 64});
    host_on_all(handlers, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        host_on(0, send, NULL);
        host_on(1, drain, NULL);
        host_on(0, drain, NULL);
    }
    host_on(0, rings_look, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        check_pair(0, 1, i);
        check_pair(1, 0, i);
    }
    CHECK(find(0, TRACE_SEND, 3) == NULL);
    host_stop();
}

CHECK_MAIN()
