/* SPDX-License-Identifier: Apache-2.0 */
/* Splits the machine's memory among the cores and builds what each core starts with. Runs on the
 * boot core under boot tables, where physical memory is visible at its own address. Boot only. */
#include "tables.h"

#include <boot/boot.h>
#include <cpu/string.h>
#include <kernel/layout.h>
#include <percpu/frames.h>
#include <percpu/scheduler.h>

SHARED struct region shared_regions[CORE_COUNT_MAX];

#define THREAD_SHARE_BYTES (64ull << 10) /* one thread of the pool for each of these */
#define THREADS_MIN 32u
#define THREADS_MAX 1024u
#define REGION_SLACK_BYTES (256ull << 10) /* at least this much must remain for the program */

static uint64_t usable_bytes(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared_facts.memory_range_count; i++) {
        sum += shared_facts.memory[i].end - shared_facts.memory[i].start;
    }
    return sum;
}

/* The address below which `bytes` of usable memory lie, rounded down to a 2 MiB boundary. */
static uint64_t boundary_after(uint64_t bytes)
{
    for (uint32_t i = 0; i < shared_facts.memory_range_count; i++) {
        const struct memory_range *range = &shared_facts.memory[i];
        uint64_t length = range->end - range->start;
        if (bytes <= length) {
            return ALIGN_DOWN(range->start + bytes, LARGE_PAGE_BYTES);
        }
        bytes -= length;
    }
    return shared_facts.memory_limit;
}

static void split(void)
{
    uint64_t share = usable_bytes() / shared_facts.core_count;
    uint64_t start = 0;
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        bool last = core + 1 == shared_facts.core_count;
        uint64_t end = last ? shared_facts.memory_limit : boundary_after(share * (core + 1));
        shared_regions[core].start.value = start;
        shared_regions[core].end.value = end;
        start = end;
    }
}

void memory_region_free_ranges(core_id_t core, void (*use)(paddr_t start, paddr_t end))
{
    const struct region *region = &shared_regions[core.value];
    struct memory_range part;
    for (uint32_t i = 0; i < shared_facts.memory_range_count; i++) {
        if (!memory_region_piece(region, i, &part)) {
            continue;
        }
        if (region->own_start.value >= part.start && region->own_end.value <= part.end) {
            if (part.start < region->own_start.value) {
                use((paddr_t){part.start}, region->own_start);
            }
            part.start = region->own_end.value;
        }
        if (part.start < part.end) {
            use((paddr_t){part.start}, (paddr_t){part.end});
        }
    }
}

static uint32_t thread_count(void)
{
    uint64_t share = usable_bytes() / shared_facts.core_count / THREAD_SHARE_BYTES;
    return (uint32_t)MIN(MAX(share, THREADS_MIN), THREADS_MAX);
}

static uint64_t page_up(uint64_t bytes)
{
    return ALIGN_UP(bytes, PAGE_BYTES);
}

/* Upper bound of the page-table pages of a region: four levels for each area and one table for each
 * 2 MiB of what is mapped by small pages. */
static uint64_t tables_bound(uint64_t mapped)
{
    return (32 + 2 * shared_facts.core_count + 3 * FACTS_MEMORY_RANGES_MAX / 8 +
            mapped / HUGE_PAGE_BYTES + shared_facts.image_bytes / LARGE_PAGE_BYTES) *
           PAGE_BYTES;
}

/* Chooses where in its partition the region's own things lie, and clears them. */
static enum result place(struct region *region)
{
    paddr_t limit = {shared_facts.memory_limit};
    uint64_t threads = region->thread_count = thread_count();
    region->percore_bytes = (uint64_t)(percore_end - percore_start);
    region->outbox_bytes =
        page_up(percpu_outbox_bytes(shared_facts.core_count, region->thread_count, limit) +
                REGION_LAST_WORDS_BYTES) +
        REGION_STAGING_PAGES * PAGE_BYTES;
    const struct {
        paddr_t *at;
        uint64_t bytes;
    } things[] = {
        {&region->percore, region->percore_bytes},
        {&region->outbox, region->outbox_bytes},
        {&region->threads, threads * sizeof(struct thread)},
        {&region->extended, threads * ALIGN_UP((uint64_t)shared_facts.extended_bytes, 64ull)},
        {&region->frame_tables, percpu_frames_table_bytes(limit)},
    };
    uint64_t needed = tables_bound(region->end.value - region->start.value) + REGION_SLACK_BYTES;
    for (size_t i = 0; i < ARRAY_COUNT(things); i++) {
        needed += page_up(things[i].bytes);
    }
    struct memory_range part = {0};
    for (uint32_t i = 0; part.end - part.start < needed; i++) {
        if (i == shared_facts.memory_range_count) {
            return RESULT_NO_MEMORY;
        }
        if (!memory_region_piece(region, i, &part)) {
            part = (struct memory_range){0};
        }
    }
    region->own_start.value = region->own_end.value = part.start;
    for (size_t i = 0; i < ARRAY_COUNT(things); i++) {
        *things[i].at = region->own_end;
        memset((void *)region->own_end.value, 0, page_up(things[i].bytes));
        region->own_end.value += page_up(things[i].bytes);
    }
    return RESULT_OK;
}

enum result memory_regions_build(void)
{
    split();
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        TRY(place(&shared_regions[core]));
    }
    for (uint16_t core = 0; core < shared_facts.core_count; core++) {
        tables_build((core_id_t){core});
    }
    return RESULT_OK;
}
