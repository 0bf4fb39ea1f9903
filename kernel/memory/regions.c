/* SPDX-License-Identifier: Apache-2.0 */
/* Splits the machine's memory among the cores and builds what each core starts with. Runs on the
 * boot core under boot tables, where physical memory is visible at its own address. Boot only. */
#include <cpu/string.h>
#include <kernel/entry.h>
#include <kernel/facts.h>
#include <kernel/layout.h>
#include <kernel/region.h>
#include <kernel/stacks.h>
#include <percpu/frames.h>
#include <percpu/scheduler.h>

SHARED struct region shared_regions[CORE_COUNT_MAX];

#define THREAD_SHARE_BYTES (64ull << 10) /* one thread of the pool for each of these */
#define THREADS_MIN 32u
#define THREADS_MAX 1024u
#define REGION_SLACK_BYTES (64ull << 10) /* at least this much must remain for the program */

#define KERNEL_READ (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_GLOBAL | ENTRY_NO_EXECUTE)
#define KERNEL_EXECUTE (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_GLOBAL)
#define KERNEL_WRITE (KERNEL_READ | ENTRY_WRITE | ENTRY_DIRTY)
#define KERNEL_DEVICE (KERNEL_WRITE | ENTRY_UNCACHED)
#define LEVEL_ROOT 4u
#define TABLE_ENTRY (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED)

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

/* The next piece of memory that lies in the region's partition, from range *i on; false: no more.
 */
static bool next_piece(const struct region *region, uint32_t *i, struct memory_range *piece)
{
    while (*i < shared_facts.memory_range_count) {
        const struct memory_range *range = &shared_facts.memory[(*i)++];
        piece->start = MAX(range->start, region->start.value);
        piece->end = MIN(range->end, region->end.value);
        if (piece->start < piece->end) {
            return true;
        }
    }
    return false;
}

void memory_region_free_ranges(core_id_t core, void (*use)(paddr_t start, paddr_t end))
{
    const struct region *region = &shared_regions[core.value];
    struct memory_range part;
    for (uint32_t i = 0; next_piece(region, &i, &part);) {
        if (part.start == region->port.value) { /* place: at the start of a piece */
            part.start = region->own_end.value;
        }
        if (part.start < part.end) {
            use((paddr_t){part.start}, (paddr_t){part.end});
        }
    }
}

static uint64_t page_up(uint64_t bytes)
{
    return ALIGN_UP(bytes, PAGE_BYTES);
}

/* Upper bound of the page-table pages of a region: four levels for each area, one table for each 2
 * MiB of what is mapped by small pages, such as both ends of a piece of memory, and one for each 1
 * GiB of the machine's memory, whose blocks may all come here. */
static uint64_t tables_bound(void)
{
    return (32 + 2 * shared_facts.core_count + 2 * shared_facts.memory_range_count +
            (shared_facts.memory_limit + shared_facts.image_bytes) / HUGE_PAGE_BYTES) *
           PAGE_BYTES;
}

/* Chooses where in its partition the region's own things lie, and clears them. @share of memory:
 * decides how many threads there are */
static enum result place(struct region *region, uint64_t share)
{
    paddr_t limit = {shared_facts.memory_limit};
    uint64_t threads = MIN(MAX(share / THREAD_SHARE_BYTES, THREADS_MIN), THREADS_MAX);
    region->thread_count = (uint32_t)threads;
    region->percore_bytes = (uint64_t)(percore_end - percore_start);
    region->outbox_bytes =
        page_up(percpu_outbox_bytes(shared_facts.core_count, region->thread_count, limit) +
                REGION_LAST_WORDS_BYTES) +
        (REGION_STAGING_PAGES + REGION_DEBUG_PAGES) * PAGE_BYTES;
    region->audit_marks_bytes = page_up(limit.value / PAGE_BYTES / 2);
    const struct {
        paddr_t *at;
        uint64_t bytes;
    } things[] = {
        {&region->percore, region->percore_bytes},
        {&region->outbox, region->outbox_bytes},
        {&region->frame_tables, percpu_frames_table_bytes(limit)},
        /* From here on who takes it into use clears it. */
        {&region->threads, threads * sizeof(struct thread)},
        {&region->extended, threads * ALIGN_UP((uint64_t)shared_facts.info.extended_bytes, 64ull)},
        {&region->audit_marks, region->audit_marks_bytes},
    };
    uint64_t needed = tables_bound() + REGION_SLACK_BYTES + shared_facts.info.port_bytes;
    for (size_t i = 0; i < ARRAY_COUNT(things); i++) {
        needed += page_up(things[i].bytes);
    }
    struct memory_range part = {0};
    for (uint32_t i = 0; part.end - part.start < needed;) {
        if (!next_piece(region, &i, &part)) {
            return RESULT_NO_MEMORY;
        }
    }
    region->port.value = part.start;
    region->own_start.value = region->own_end.value = part.start + shared_facts.info.port_bytes;
    for (size_t i = 0; i < ARRAY_COUNT(things); i++) {
        *things[i].at = region->own_end;
        region->own_end.value += page_up(things[i].bytes);
    }
    memset((void *)region->port.value, 0, region->threads.value - region->port.value);
    return RESULT_OK;
}

static uint64_t take_table(struct region *region)
{
    uint64_t table = region->own_end.value;
    region->own_end.value += PAGE_BYTES;
    memset((void *)table, 0, PAGE_BYTES);
    return table;
}

/* Steps down to the entry of the address at a level, 1 page .. 2, with new tables where there are
 * none. */
static uint64_t *entry_at(struct region *region, uint64_t address, unsigned level)
{
    uint64_t *table = (uint64_t *)region->root.value;
    for (unsigned at = LEVEL_ROOT; at > level; at--) {
        uint64_t *entry = &table[address >> (9 * at + 3) & 511];
        if (*entry == 0) {
            *entry = take_table(region) | TABLE_ENTRY;
        }
        ASSERT((*entry & ENTRY_LARGE) == 0);
        table = (uint64_t *)(*entry & ENTRY_ADDRESS);
    }
    return &table[address >> (9 * level + 3) & 511];
}

static void map(struct region *region, uint64_t address, uint64_t physical, uint64_t bytes,
                uint64_t flags)
{
    ASSERT(IS_ALIGNED(address | physical | bytes, PAGE_BYTES));
    while (bytes > 0) {
        bool is_large =
            IS_ALIGNED(address | physical, LARGE_PAGE_BYTES) && bytes >= LARGE_PAGE_BYTES;
        uint64_t step = is_large ? LARGE_PAGE_BYTES : PAGE_BYTES;
        *entry_at(region, address, is_large ? 2 : 1) =
            physical | flags | (is_large ? ENTRY_LARGE : 0);
        address += step;
        physical += step;
        bytes -= step;
    }
}

static void map_kernel(struct region *region, const uint8_t *start, const uint8_t *end,
                       uint64_t flags)
{
    uint64_t address = (uint64_t)start;
    map(region, address, address - LAYOUT_KERNEL_BASE, (uint64_t)(end - start), flags);
}

static void map_devices(struct region *region, core_id_t self)
{
    for (uint32_t i = 0; i < shared_facts.device_page_count; i++) {
        if (facts_device_is_of(i, self.value)) {
            uint64_t address = LAYOUT_DEVICE_BASE + i * PAGE_BYTES;
            bool is_memory = address - shared_facts.xen_console < 2 * PAGE_BYTES;
            map(region, address, shared_facts.device_pages[i], PAGE_BYTES,
                is_memory ? KERNEL_WRITE : KERNEL_DEVICE);
        }
    }
}

/* The kernel half of a core's page tables, as kernel/layout.h draws it, behind what its region
 * holds already. All regions are placed. */
static void build_tables(core_id_t self)
{
    struct region *region = &shared_regions[self.value];
    region->root.value = take_table(region);
    map_kernel(region, kernel_text_start, kernel_text_end, KERNEL_EXECUTE);
    map_kernel(region, kernel_rodata_start, kernel_rodata_end, KERNEL_READ);
    map_kernel(region, boot_facts_start, boot_facts_end, KERNEL_WRITE);
    for (uint64_t offset = 0; offset < region->percore_bytes; offset += PAGE_BYTES) {
        uint64_t address = LAYOUT_PERCORE_BASE + offset;
        if (!stacks_is_guard(address)) {
            map(region, address, region->percore.value + offset, PAGE_BYTES, KERNEL_WRITE);
        }
    }
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        const struct region *other = &shared_regions[core];
        map(region, region_outbox(core), other->outbox.value, other->outbox_bytes,
            core == self.value ? KERNEL_WRITE : KERNEL_READ);
    }
    struct memory_range part;
    for (uint32_t i = 0; next_piece(region, &i, &part);) {
        map(region, LAYOUT_DIRECT_BASE + part.start, part.start, part.end - part.start,
            KERNEL_WRITE);
    }
    for (uint64_t at = 0; at < shared_facts.memory_limit; at += HUGE_PAGE_BYTES) {
        (void)entry_at(region, LAYOUT_DIRECT_BASE + at, 2); /* for blocks that may be granted */
    }
    map_devices(region, self);
    map(region, LAYOUT_IMAGE_BASE + shared_facts.image_physical, shared_facts.image_physical,
        ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES), KERNEL_READ);
}

enum result memory_regions_build(void)
{
    uint64_t share = shared_facts.info.memory_bytes / shared_facts.core_count;
    uint64_t start = 0;
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        bool last = core + 1 == shared_facts.core_count;
        uint64_t end = last ? shared_facts.memory_limit : boundary_after(share * (core + 1));
        shared_regions[core].start.value = start;
        shared_regions[core].end.value = end;
        TRY(place(&shared_regions[core], share));
        start = end;
    }
    for (uint16_t core = 0; core < shared_facts.core_count; core++) {
        build_tables((core_id_t){core});
    }
    return RESULT_OK;
}
