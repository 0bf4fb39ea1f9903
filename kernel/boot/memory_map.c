/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through the address space from border to border of the entries; between two borders all
 * pages are alike. */
#include "handover.h"

#define LOW_PAGE_FIRST 0x8000ull
#define LOW_PAGE_END 0xa0000ull

/* @impl ATL-LLR-BOOT-0002~2 */
enum result memory_map_check(const struct memory_map *map)
{
    if (map->count == 0 || map->count > MEMORY_ENTRIES_MAX) {
        return RESULT_RANGE;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        if (map->entries[i].bytes > UINT64_MAX - map->entries[i].start) {
            return RESULT_FORMAT;
        }
    }
    return RESULT_OK;
}

/* The page boundary at or above an address, without wrapping at the top. */
static uint64_t page_above(uint64_t address)
{
    return ALIGN_UP(MIN(address, UINT64_MAX - PAGE_BYTES), PAGE_BYTES);
}

/* RAM counts by whole pages, anything else by the pages that it touches. */
static struct memory_range pages_of(const struct memory_entry *entry)
{
    uint64_t end = entry->start + entry->bytes;
    if (entry->type == MEMORY_TYPE_RAM) {
        return (struct memory_range){page_above(entry->start), ALIGN_DOWN(end, PAGE_BYTES)};
    }
    return (struct memory_range){ALIGN_DOWN(entry->start, PAGE_BYTES),
                                 entry->bytes != 0 ? page_above(end) : 0};
}

/* Whether the page is usable; *border becomes at most the next page where that may differ. */
static bool is_usable(const struct memory_map *map, uint64_t page, uint64_t *border)
{
    bool is_ram = false, is_other = false;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct memory_entry *entry = &map->entries[i];
        struct memory_range range = pages_of(entry);
        if (page < range.start) {
            *border = MIN(*border, range.start);
        } else if (page < range.end) {
            *border = MIN(*border, range.end);
            is_ram = is_ram || entry->type == MEMORY_TYPE_RAM;
            is_other = is_other || entry->type != MEMORY_TYPE_RAM;
        }
    }
    return is_ram && !is_other;
}

/* Where the usable pages that begin at `page` end: at `page` if it is not usable. */
static uint64_t usable_end(const struct memory_map *map, uint64_t page, uint64_t limit)
{
    uint64_t border = limit;
    while (page < limit && is_usable(map, page, &border)) {
        page = border;
        border = limit;
    }
    return page;
}

/* @impl ATL-LLR-BOOT-0002~2 */
void memory_map_build(const struct memory_map *map, uint64_t limit, struct facts *facts)
{
    facts->memory_range_count = 0;
    facts->info.memory_bytes = 0;
    limit = ALIGN_DOWN(limit, PAGE_BYTES);
    for (uint64_t page = MAX(MEMORY_LOW_END, facts->low_page + PAGE_BYTES); page < limit;) {
        uint64_t end = usable_end(map, page, limit);
        if (end > page) {
            facts->memory[facts->memory_range_count++] = (struct memory_range){page, end};
            facts->info.memory_bytes += end - page;
        }
        page = limit;
        (void)is_usable(map, end, &page);
    }
}

/* @impl ATL-LLR-BOOT-0002~2 */
bool memory_map_is_ram(const struct memory_map *map, uint64_t start, uint64_t end)
{
    return usable_end(map, start, end) >= end;
}

/* @impl ATL-LLR-BOOT-0003~1 */
uint64_t memory_map_low_page(const struct memory_map *map)
{
    for (uint64_t page = LOW_PAGE_FIRST; page < LOW_PAGE_END; page += PAGE_BYTES) {
        if (memory_map_is_ram(map, page, page + PAGE_BYTES)) {
            return page;
        }
    }
    return 0;
}
