/* SPDX-License-Identifier: Apache-2.0 */
/* Memory between four cores: one takes all that the others can give, then all compete until nothing
 * is left, then everything is freed; counts and published owners are exact at each end. */
#include "check.h"
#include "random.h"

#include <host.h>
#include <percpu/channel.h>

#define CORES 4u
#define START (2 * LARGE_PAGE_BYTES + 100 * PAGE_BYTES)
#define PARTITION_FRAMES (4 * 512u + 60u)
#define FRAMES (CORES * PARTITION_FRAMES)

static const struct host_config machine = {
    .core_count = CORES,
    .thread_count = 8,
    .memory_start = START,
    .partition_bytes = PARTITION_FRAMES * PAGE_BYTES,
    .seed = 11,
    .add_frames = true,
};

/* Who holds each frame: core + 1, 0: nobody. A frame given out twice is seen by the exchange. */
static _Atomic uint8_t holder[FRAMES];
static _Atomic uint32_t takers_left;
static uint64_t total_counts[CORES], free_counts[CORES];
static int64_t attached[CORES];

static uint64_t index_of(paddr_t frame)
{
    HOST_CHECK(frame.value >= START && frame.value < START + FRAMES * PAGE_BYTES);
    return (frame.value - START) / PAGE_BYTES;
}

static bool take_one(void)
{
    paddr_t frame;
    if (percpu_frame_allocate(&frame) != RESULT_OK) {
        return false;
    }
    HOST_CHECK(percpu_frame_is_own(frame));
    uint8_t before = atomic_exchange(&holder[index_of(frame)], (uint8_t)(percpu_self.value + 1));
    HOST_CHECK(before == 0);
    HOST_CHECK(percpu_frame_owner_remote(frame).value == percpu_self.value);
    return true;
}

static void granted(struct thread *thread, const struct percpu_message *message)
{
    HOST_CHECK(message->kind == PERCPU_MESSAGE_BLOCK_GRANT);
    thread->work[0] = message->status != RESULT_OK;
    percpu_thread_ready(thread);
}

/* Takes frames until nobody gives any more. */
static void taker_step(struct thread *thread)
{
    for (uint32_t i = 0; i < 64; i++) {
        if (take_one()) {
            continue;
        }
        if (thread->work[0]) {
            percpu_thread_free(thread);
            if (atomic_fetch_sub(&takers_left, 1) == 1) {
                host_finish();
            }
            return;
        }
        HOST_CHECK(percpu_frames_grant_request(thread, granted) == RESULT_OK);
        return;
    }
}

static void take_everything(void *taker_count)
{
    for (uint32_t i = 0; i < *(uint32_t *)taker_count; i++) {
        host_thread_start(taker_step, 16);
    }
    host_loop();
}

static void take_on_core_0(void *none)
{
    (void)none;
    if (percpu_self.value == 0) {
        host_thread_start(taker_step, 16);
    }
    host_loop();
}

/* Frees what this core holds, in a random order of blocks, then serves the others until they end.
 */
static void free_step(struct thread *thread)
{
    uint64_t random = thread->work[1];
    for (uint32_t i = 0; i < 200; i++, thread->work[0]++) {
        uint32_t frame = thread->work[0] < 2 * FRAMES ? random_below(&random, FRAMES)
                                                      : (uint32_t)(thread->work[0] - 2 * FRAMES);
        if (frame >= FRAMES) {
            percpu_thread_free(thread);
            if (atomic_fetch_sub(&takers_left, 1) == 1) {
                host_finish();
            }
            return;
        }
        if (atomic_load(&holder[frame]) == percpu_self.value + 1) {
            atomic_store(&holder[frame], 0);
            percpu_frame_free((paddr_t){START + frame * PAGE_BYTES});
        }
    }
    thread->work[1] = random;
}

static void free_everything(void *none)
{
    (void)none;
    struct thread *thread = host_thread_start(free_step, 16);
    thread->work[1] = percpu_self.value + 1;
    host_loop();
}

/* Delivers what is under way: every core has seen every message when it has settled twice. */
static void settle(void *none)
{
    (void)none;
    percpu_channel_drain();
    total_counts[percpu_self.value] = percpu_frames_total_count;
    free_counts[percpu_self.value] = percpu_frames_free_count;
    attached[percpu_self.value] = host_blocks_attached();
    HOST_CHECK(percpu_threads_live == 0);
}

static void settle_all(void)
{
    for (uint32_t pass = 0; pass < 6; pass++) {
        for (uint16_t core = 0; core < CORES; core++) {
            host_on(core, settle, NULL);
        }
    }
}

static void owners_check(void *none)
{
    (void)none;
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint8_t held = atomic_load(&holder[i]);
        paddr_t frame = {START + i * PAGE_BYTES};
        if (held != 0) {
            HOST_CHECK(percpu_frame_owner_remote(frame).value == held - 1);
            HOST_CHECK(percpu_frame_is_own(frame) == (held - 1 == percpu_self.value));
        }
    }
}

static uint64_t sum_of(const uint64_t counts[CORES])
{
    return counts[0] + counts[1] + counts[2] + counts[3];
}

static uint32_t held_count(uint32_t core)
{
    uint32_t held = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        held += atomic_load(&holder[i]) == core + 1;
    }
    return held;
}

static void counts_check(bool all_is_taken)
{
    settle_all();
    host_on_all(owners_check, NULL);
    int64_t balance = 0;
    for (uint32_t core = 0; core < CORES; core++) {
        CHECK_EQUAL(total_counts[core] - free_counts[core], held_count(core));
        CHECK_EQUAL((int64_t)total_counts[core] - attached[core] * 512, PARTITION_FRAMES);
        balance += attached[core];
    }
    CHECK_EQUAL(balance, 0);
    CHECK_EQUAL(sum_of(total_counts), FRAMES);
    if (all_is_taken) {
        CHECK_EQUAL(sum_of(free_counts), 0);
    }
}

static void begin(uint32_t takers)
{
    atomic_store(&takers_left, takers);
    host_prepare();
}

/* @verifies ATL-LLR-PERCPU-0020~1
 * @verifies ATL-LLR-PERCPU-0021~1 */
TEST(one_core_gets_every_free_block_of_the_others)
{
    memset((void *)holder, 0, sizeof(holder));
    host_start(&machine);
    begin(1);
    host_on_all(take_on_core_0, NULL);
    counts_check(false);
    /* Every block that lies within one partition: 3 or 4 of each other core. */
    uint64_t whole = 0;
    for (uint64_t core = 1; core < CORES; core++) {
        uint64_t start = START + core * PARTITION_FRAMES * PAGE_BYTES;
        uint64_t end = start + PARTITION_FRAMES * PAGE_BYTES;
        whole += ALIGN_DOWN(end, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES -
                 ALIGN_UP(start, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES;
    }
    CHECK_EQUAL(total_counts[0], PARTITION_FRAMES + 512 * whole);
    CHECK_EQUAL(held_count(0), total_counts[0]);
    begin(CORES);
    host_on_all(free_everything, NULL);
    counts_check(false);
    CHECK_EQUAL(sum_of(free_counts), FRAMES);
    CHECK(attached[0] <= 4); /* what it keeps; the others went home */
    host_stop();
}

/* @verifies ATL-LLR-PERCPU-0020~1
 * @verifies ATL-LLR-PERCPU-0021~1 @robust */
TEST(cores_compete_until_nothing_is_left_and_give_all_back)
{
    uint32_t takers = 3;
    memset((void *)holder, 0, sizeof(holder));
    host_start(&machine);
    for (uint32_t round = 0; round < 10; round++) {
        begin(CORES * takers);
        host_on_all(take_everything, &takers);
        counts_check(true);
        begin(CORES);
        host_on_all(free_everything, NULL);
        counts_check(false);
        CHECK_EQUAL(sum_of(free_counts), FRAMES);
    }
    host_stop();
}

static enum result request_result;

static void ask_alone(void *none)
{
    (void)none;
    struct thread *thread;
    enum result made = percpu_thread_allocate(&thread);
    HOST_CHECK(made == RESULT_OK);
    request_result = percpu_frames_grant_request(thread, granted);
}

/* @verifies ATL-LLR-PERCPU-0020~1 @robust */
TEST(a_single_core_is_refused_at_once)
{
    host_start(&(struct host_config){.core_count = 1, .thread_count = 1});
    host_on(0, ask_alone, NULL);
    CHECK_EQUAL(request_result, RESULT_NO_MEMORY);
    host_stop();
}

CHECK_MAIN()
