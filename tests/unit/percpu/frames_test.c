/* SPDX-License-Identifier: Apache-2.0 */
/* The frame allocator against a table of flags, on a partition whose edges share 2 MiB blocks with
 * its neighbours. */
#include "check.h"
#include "random.h"

#include <host.h>

#define START (3 * LARGE_PAGE_BYTES + 37 * PAGE_BYTES)
#define FRAMES (5 * 512u + 100u)
#define STEPS 300000u

static const struct host_config machine = {
    .core_count = 2,
    .thread_count = 1,
    .memory_start = START,
    .partition_bytes = FRAMES * PAGE_BYTES,
    .add_frames = true,
};

static bool is_taken[FRAMES];
static uint32_t run_at[FRAMES]; /* length of the run that begins here, 0: none */
static uint32_t taken;

static void reset(void)
{
    memset(is_taken, 0, sizeof(is_taken));
    memset(run_at, 0, sizeof(run_at));
    taken = 0;
    host_enter(&machine);
}

/* Runs are aligned to physical addresses. */
static bool reference_has_run(uint32_t count)
{
    uint32_t first = (uint32_t)(START / PAGE_BYTES);
    for (uint32_t i = (uint32_t)ALIGN_UP(first, count) - first; i + count <= FRAMES; i += count) {
        uint32_t free = 0;
        while (free < count && !is_taken[i + free]) {
            free++;
        }
        if (free == count) {
            return true;
        }
    }
    return false;
}

static void take(uint32_t count)
{
    paddr_t first = {0};
    enum result result =
        count == 1 ? percpu_frame_allocate(&first) : percpu_frame_run_allocate(count, &first);
    if (result != RESULT_OK) {
        CHECK_EQUAL(result, RESULT_NO_MEMORY);
        CHECK(!reference_has_run(count));
        return;
    }
    CHECK(first.value >= START && IS_ALIGNED(first.value, count * PAGE_BYTES));
    uint64_t i = (first.value - START) / PAGE_BYTES;
    CHECK(i + count <= FRAMES);
    for (uint32_t k = 0; k < count; k++) {
        CHECK(!is_taken[i + k]);
        is_taken[i + k] = true;
    }
    run_at[i] = count;
    taken += count;
}

static void give(uint32_t i)
{
    uint32_t count = run_at[i];
    if (count == 0) {
        return;
    }
    paddr_t first = {START + i * PAGE_BYTES};
    CHECK(percpu_frame_is_own(first));
    for (uint32_t k = 0; k < count; k++) {
        percpu_frame_free((paddr_t){first.value + k * PAGE_BYTES});
        is_taken[i + k] = false;
    }
    run_at[i] = 0;
    taken -= count;
}

/* @verifies ATL-LLR-PERCPU-0018~1
 * @verifies ATL-LLR-PERCPU-0019~2 */
TEST(random_runs_agree_with_flags)
{
    uint64_t random = 4711;
    reset();
    CHECK_EQUAL(percpu_frames_total_count, FRAMES);
    for (uint32_t step = 0; step < STEPS; step++) {
        /* Periods of growth and of decay, so that both ends are met. */
        bool grow = random_below(&random, 10) < (step / 3000 % 2 == 0 ? 7u : 3u);
        if (grow) {
            uint32_t shift = random_below(&random, 40);
            take(shift < 10 ? 1u << shift : 1u);
        } else {
            for (uint32_t k = 0; k < 4; k++) {
                give(random_below(&random, FRAMES));
            }
        }
        CHECK_EQUAL(percpu_frames_free_count, FRAMES - taken);
    }
    for (uint32_t i = 0; i < FRAMES; i++) {
        give(i);
    }
    CHECK_EQUAL(percpu_frames_free_count, FRAMES);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0018~1 @robust */
TEST(every_frame_is_given_out_once_then_none)
{
    reset();
    for (uint32_t i = 0; i < FRAMES; i++) {
        take(1);
        CHECK_EQUAL(taken, i + 1);
    }
    paddr_t none;
    CHECK_EQUAL(percpu_frame_allocate(&none), RESULT_NO_MEMORY);
    CHECK_EQUAL(percpu_frame_run_allocate(2, &none), RESULT_NO_MEMORY);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0018~1 @robust */
TEST(bad_run_lengths_are_refused)
{
    static const uint32_t bad[] = {0, 3, 511, 513, 1024, UINT32_MAX};
    paddr_t none;
    reset();
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_EQUAL(percpu_frame_run_allocate(bad[i], &none), RESULT_INVALID);
    }
    CHECK_EQUAL(percpu_frames_free_count, FRAMES);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0018~1 */
TEST(single_frames_leave_whole_blocks_whole)
{
    reset();
    uint32_t edges = FRAMES - 4 * 512; /* frames of the blocks at both ends */
    for (uint32_t i = 0; i < edges; i++) {
        take(1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t before = taken;
        take(512);
        CHECK_EQUAL(taken, before + 512);
    }
    CHECK_EQUAL(percpu_frames_free_count, 0);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0018~1 */
TEST(a_block_that_lost_a_frame_is_not_whole)
{
    reset();
    for (uint32_t i = 0; i < FRAMES - 4 * 512 + 1; i++) {
        take(1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        take(512);
    }
    CHECK_EQUAL(percpu_frames_free_count, 511);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0019~2 @robust */
TEST(wrong_frees_stop_the_machine)
{
    paddr_t frame = {0}, run = {0};
    reset();
    CHECK_EQUAL(percpu_frame_allocate(&frame), RESULT_OK);
    CHECK_EQUAL(percpu_frame_run_allocate(8, &run), RESULT_OK);
    CHECK_ABORTS((percpu_frame_free(frame), percpu_frame_free(frame)));
    CHECK_ABORTS(percpu_frame_free((paddr_t){START - PAGE_BYTES}));
    CHECK_ABORTS(percpu_frame_free((paddr_t){START + FRAMES * PAGE_BYTES}));
    CHECK_ABORTS(percpu_frame_free((paddr_t){frame.value + 1}));
    CHECK_ABORTS(percpu_frame_free((paddr_t){run.value + 8 * PAGE_BYTES}));
    CHECK_ABORTS(percpu_frame_free((paddr_t){UINT64_MAX & ~(PAGE_BYTES - 1)}));
    for (uint32_t k = 0; k < 8; k++) {
        percpu_frame_free((paddr_t){run.value + k * PAGE_BYTES});
    }
    percpu_frame_free(frame);
    CHECK_EQUAL(percpu_frames_free_count, FRAMES);
    host_leave();
}

/* @verifies ATL-LLR-PERCPU-0019~2 */
TEST(ownership_follows_the_partition_inside_a_shared_block)
{
    reset();
    CHECK(!percpu_frame_is_own((paddr_t){START - PAGE_BYTES}));
    CHECK(percpu_frame_is_own((paddr_t){START}));
    CHECK(percpu_frame_is_own((paddr_t){START + (FRAMES - 1) * PAGE_BYTES}));
    CHECK(!percpu_frame_is_own((paddr_t){START + FRAMES * PAGE_BYTES}));
    CHECK(!percpu_frame_is_own((paddr_t){UINT64_MAX}));
    CHECK_EQUAL(percpu_frame_owner_remote((paddr_t){START}).value, 0);
    CHECK_EQUAL(percpu_frame_owner_remote((paddr_t){START + FRAMES * PAGE_BYTES}).value, 1);
    host_leave();
}

CHECK_MAIN()
