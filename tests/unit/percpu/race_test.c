/* SPDX-License-Identifier: Apache-2.0 */
/* The places where two cores may each miss what the other just stored, met on purpose many times:
 * a signal that merges with a pending one, and a message to a core that is about to sleep. Each
 * test names the fences without which it fails here within a run or two; the model knows the
 * others. */
#include "race.h"

#include "check.h"

#include <host.h>
#include <percpu/channel.h>

#define ROUNDS 150000u
#define RECEIVER_SHIFT 40u
#define SENDER_SHIFT 500u
#define KIND PERCPU_MESSAGE_CALL

static struct race race;
static _Atomic uint32_t posted[2]; /* for the receiver's threads 0 and 1; written by core 0 */
static uint32_t lost;

static void receiver_looks(struct thread *threads[2], uint32_t seen[2])
{
    percpu_channel_drain();
    for (uint32_t i = 0; i < 2; i++) {
        if (threads[i]->permit) {
            threads[i]->permit = false;
            seen[i] = atomic_load_explicit(&posted[i], memory_order_relaxed);
        }
    }
}

static void merge_receive(void)
{
    struct thread *threads[2];
    uint32_t seen[2] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        enum result made = percpu_thread_allocate(&threads[i]);
        HOST_CHECK(made == RESULT_OK);
    }
    while (race_next(&race, 1, ROUNDS)) { /* the threads exist */
        race_meet(&race, 1);              /* a signal is pending */
        race_shift(&race, 1, RECEIVER_SHIFT);
        receiver_looks(threads, seen);
        race_meet(&race, 1); /* everything was sent */
        receiver_looks(threads, seen);
        for (uint32_t i = 0; i < 2; i++) {
            lost += seen[i] != atomic_load(&posted[i]);
            seen[i] = atomic_load(&posted[i]);
        }
    }
}

static void merge_send(void)
{
    for (uint32_t round = 1; race_next(&race, 0, ROUNDS); round++) {
        uint32_t target = round % 2;
        enum result first = percpu_signal_send_remote((core_id_t){1}, 0, 1, false);
        race_meet(&race, 0);
        race_shift(&race, 0, SENDER_SHIFT);
        atomic_store_explicit(&posted[target], round, memory_order_relaxed);
        enum result second = percpu_signal_send_remote((core_id_t){1}, target, 1, false);
        race_meet(&race, 0);
        HOST_CHECK(first == RESULT_OK && second == RESULT_OK);
    }
}

static void merge(void *none)
{
    (void)none;
    if (percpu_self.value == 0) {
        merge_send();
    } else {
        merge_receive();
    }
}

/* Thread 0: the pending leaf is acknowledged while the sender finds it pending; thread 1: likewise
 * its group. Fences: toggle, signal_take (the first).
 * @verifies ATL-LLR-PERCPU-0008~1 */
TEST(a_signal_that_merges_is_not_lost)
{
    race_begin(&race);
    lost = 0;
    host_start(&(struct host_config){.core_count = 2, .thread_count = 64, .seed = 3});
    host_on_all(merge, NULL);
    host_stop();
    CHECK_EQUAL(lost, 0);
}

static uint32_t taken; /* by core 1 */
static _Atomic uint64_t interrupts_sent;

static void message_take(core_id_t from, const struct percpu_message *request)
{
    taken++;
    percpu_channel_reply(from, request);
}

static void sleep_prepare(void *none)
{
    (void)none;
    percpu_channel_handle(KIND, message_take, NULL);
}

/* Not taken by the drain, and no interrupt was sent: it would sleep for ever. */
static void sleep_receive(void)
{
    for (uint32_t round = 1; race_next(&race, 1, ROUNDS); round++) {
        race_meet(&race, 1); /* one message is there, its interrupt was sent */
        race_shift(&race, 1, RECEIVER_SHIFT);
        percpu_channel_drain();
        uint32_t taken_now = taken;
        race_meet(&race, 1); /* the second was sent */
        lost += taken_now < 2 * round && atomic_load(&interrupts_sent) == 0;
        percpu_channel_drain();
        HOST_CHECK(taken == 2 * round);
    }
}

static void sleep_send(void)
{
    const struct percpu_message request = {.kind = KIND};
    while (race_next(&race, 0, ROUNDS)) {
        percpu_channel_drain(); /* the replies */
        enum result first = percpu_channel_request((core_id_t){1}, &request);
        uint64_t before = host_ipis_sent;
        race_meet(&race, 0);
        race_shift(&race, 0, SENDER_SHIFT);
        enum result second = percpu_channel_request((core_id_t){1}, &request);
        atomic_store(&interrupts_sent, host_ipis_sent - before);
        race_meet(&race, 0);
        HOST_CHECK(first == RESULT_OK && second == RESULT_OK);
    }
}

static void fall_asleep(void *none)
{
    (void)none;
    if (percpu_self.value == 0) {
        sleep_send();
    } else {
        percpu_channel_drain();
        sleep_receive();
    }
}

/* Fence: outbox_notify_remote.
 * @verifies ATL-LLR-PERCPU-0005~1 */
TEST(a_message_to_a_core_that_falls_asleep_interrupts_it)
{
    race_begin(&race);
    lost = 0;
    taken = 0;
    host_start(&(struct host_config){.core_count = 2, .thread_count = 64, .seed = 4});
    host_on_all(sleep_prepare, NULL);
    host_on_all(fall_asleep, NULL);
    host_stop();
    CHECK_EQUAL(lost, 0);
}

CHECK_MAIN()
