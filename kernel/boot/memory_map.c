/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_map.h"

#define LOW_PAGE_FIRST 0x8000ull
#define LOW_PAGE_END 0xa0000ull

static void delete_at(struct memory_map *map, uint32_t index)
{
    map->count--;
    for (uint32_t i = index; i < map->count; i++) {
        map->ranges[i] = map->ranges[i + 1];
    }
}

/* Frees a slot by dropping the smallest range; false: the new one is the smallest. */
static bool make_room(struct memory_map *map, uint64_t bytes)
{
    if (map->count < FACTS_MEMORY_RANGES_MAX) {
        return true;
    }
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < map->count; i++) {
        if (map->ranges[i].end - map->ranges[i].start <
            map->ranges[smallest].end - map->ranges[smallest].start) {
            smallest = i;
        }
    }
    map->dropped++;
    if (map->ranges[smallest].end - map->ranges[smallest].start >= bytes) {
        return false;
    }
    delete_at(map, smallest);
    return true;
}

static void insert(struct memory_map *map, struct memory_range range)
{
    if (!make_room(map, range.end - range.start)) {
        return;
    }
    uint32_t at = map->count++;
    for (; at > 0 && map->ranges[at - 1].start > range.start; at--) {
        map->ranges[at] = map->ranges[at - 1];
    }
    map->ranges[at] = range;
}

/* Union: swallows every range that it overlaps or touches. */
static void add(struct memory_map *map, struct memory_range range)
{
    for (uint32_t i = 0; i < map->count;) {
        const struct memory_range *other = &map->ranges[i];
        if (other->start <= range.end && range.start <= other->end) {
            range.start = MIN(range.start, other->start);
            range.end = MAX(range.end, other->end);
            delete_at(map, i);
        } else {
            i++;
        }
    }
    insert(map, range);
}

static void cut(struct memory_map *map, struct memory_range hole)
{
    for (uint32_t i = 0; i < map->count;) {
        struct memory_range range = map->ranges[i];
        if (hole.start >= range.end || range.start >= hole.end) {
            i++;
            continue;
        }
        delete_at(map, i);
        /* Pieces that remain do not meet the hole: they are passed over when i comes to them. */
        if (range.start < hole.start) {
            insert(map, (struct memory_range){range.start, hole.start});
        }
        if (hole.end < range.end) {
            insert(map, (struct memory_range){hole.end, range.end});
        }
    }
}

static bool is_ram(const struct memory_entry *entry)
{
    return entry->type == MEMORY_TYPE_RAM;
}

/* End of an entry in whole pages, without wrapping at the top. */
static uint64_t page_after(uint64_t address)
{
    return address > UINT64_MAX - PAGE_BYTES ? ALIGN_DOWN(UINT64_MAX, PAGE_BYTES)
                                             : ALIGN_UP(address, PAGE_BYTES);
}

/* RAM shrinks to whole pages inside limits; false: nothing remains. */
static bool usable_part(const struct memory_entry *entry, uint64_t limit,
                        struct memory_range *range)
{
    range->start = MAX(page_after(entry->start), MEMORY_LOW_END);
    range->end = MIN(ALIGN_DOWN(entry->start + entry->bytes, PAGE_BYTES), limit);
    return range->start < range->end;
}

/* @impl ATL-LLR-BOOT-0002~1 */
enum result memory_map_build(const struct memory_entry *entries, uint32_t count,
                             struct memory_holes holes, uint64_t limit, struct memory_map *map)
{
    *map = (struct memory_map){0};
    if (count == 0 || count > MEMORY_ENTRIES_MAX) {
        return RESULT_RANGE;
    }
    limit = ALIGN_DOWN(limit, PAGE_BYTES);
    struct memory_range range;
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].bytes > UINT64_MAX - entries[i].start) {
            return RESULT_FORMAT;
        }
        if (is_ram(&entries[i])) {
            map->ram_bytes += entries[i].bytes;
            if (usable_part(&entries[i], limit, &range)) {
                add(map, range);
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_ram(&entries[i]) && entries[i].bytes != 0) {
            range.start = ALIGN_DOWN(entries[i].start, PAGE_BYTES);
            range.end = page_after(entries[i].start + entries[i].bytes);
            cut(map, range);
        }
    }
    for (uint32_t i = 0; i < holes.count; i++) {
        range.start = ALIGN_DOWN(holes.ranges[i].start, PAGE_BYTES);
        range.end = page_after(holes.ranges[i].end);
        cut(map, range);
    }
    return map->count == 0 ? RESULT_NO_MEMORY : RESULT_OK;
}

bool memory_map_is_ram(const struct memory_entry *entries, uint32_t count, uint64_t start,
                       uint64_t end)
{
    uint64_t covered = start;
    bool is_growing = true;
    while (covered < end && is_growing) {
        is_growing = false;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t entry_end = entries[i].start + entries[i].bytes;
            if (is_ram(&entries[i]) && entries[i].start <= covered && covered < entry_end) {
                covered = entry_end;
                is_growing = true;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_ram(&entries[i]) && entries[i].bytes != 0 && entries[i].start < end &&
            start < entries[i].start + entries[i].bytes) {
            return false;
        }
    }
    return covered >= end;
}

/* @impl ATL-LLR-BOOT-0003~1 */
enum result memory_map_low_page(const struct memory_entry *entries, uint32_t count, uint64_t *page)
{
    for (uint64_t at = LOW_PAGE_FIRST; at < LOW_PAGE_END; at += PAGE_BYTES) {
        if (memory_map_is_ram(entries, count, at, at + PAGE_BYTES)) {
            *page = at;
            return RESULT_OK;
        }
    }
    return RESULT_NO_MEMORY;
}
