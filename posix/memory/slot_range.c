/* SPDX-License-Identifier: Apache-2.0 */
/* Map, unmap and protect ranges of one slot: kernel and list together. See slot.h. */
#include "slot.h"

static struct region *take_node(struct slot *slot)
{
    struct region *node = slot->free_nodes;
    slot->free_nodes = node->parent;
    slot->free_node_count--;
    return node;
}

static void drop_node(struct slot *slot, struct region *node)
{
    node->parent = slot->free_nodes;
    slot->free_nodes = node;
    slot->free_node_count++;
}

static void count_bytes(struct slot *slot, const struct region *region, uint64_t bytes, bool add)
{
    if (region->kind != POSIX_REGION_POSIX) {
        slot->mapped_bytes += add ? bytes : 0 - bytes;
    }
}

/* Joins a region with the one above it if they are alike. */
static void merge_above(struct slot *slot, struct region *region)
{
    struct region *above = region_next(region);
    if (above != NULL && region_can_merge(region, above)) {
        uint64_t end = above->end;
        region_remove(&slot->tree, above);
        drop_node(slot, above);
        region_resize(&slot->tree, region, region->start, end);
    }
}

static void merge_around(struct slot *slot, struct region *region)
{
    merge_above(slot, region);
    struct region *below = region_previous(region);
    if (below != NULL) {
        merge_above(slot, below);
    }
}

static void fill(struct region *region, const struct slot_mapping *mapping)
{
    region->start = mapping->start;
    region->end = mapping->end;
    region->file = mapping->file;
    region->offset = mapping->offset;
    region->protection = (uint8_t)mapping->protection;
    region->kind = (uint8_t)mapping->kind;
    region->flags = (uint8_t)mapping->flags;
}

/* Lists a mapping at its place: widens a neighbour that is alike (the common case of a growing heap
 * needs no node), else inserts a node, which must be there. */
/* @impl ATL-LLR-MEMORY-0019~1 */
static void list_mapping(struct slot *slot, const struct slot_mapping *mapping,
                         struct region_place place)
{
    struct region new;
    fill(&new, mapping);
    count_bytes(slot, &new, new.end - new.start, true);
    if (new.start <= slot->free_from && slot->free_from < new.end) {
        slot->free_from = new.end;
    }
    if (place.below != NULL && region_can_merge(place.below, &new)) {
        region_resize(&slot->tree, place.below, place.below->start, new.end);
        merge_above(slot, place.below);
        return;
    }
    if (place.above != NULL && region_can_merge(&new, place.above)) {
        region_resize(&slot->tree, place.above, new.start, place.above->end);
        return;
    }
    struct region *node = take_node(slot);
    fill(node, mapping);
    region_insert(&slot->tree, place.below, node);
}

int64_t slot_map_pages(const struct slot_mapping *mapping)
{
    uint32_t flags = mapping->gate_flags;
    uint64_t offset = 0;
    if (!slot_is_backed(mapping->kind, mapping->flags)) {
        return 0;
    }
    if (mapping->file != NULL) {
        flags |= GATE_MAP_IMAGE;
        offset = mapping->file->offset + mapping->offset;
    }
    uint64_t bytes = mapping->end - mapping->start;
    int64_t result = gate_map(mapping->start, bytes, mapping->protection, flags, offset);
    if (result == -ENOMEM && (flags & GATE_MAP_POPULATE) != 0 &&
        mapping->kind != POSIX_REGION_POSIX) {
        /* MAP_POPULATE is a wish: memory that is not there now may be there at first touch. */
        result = gate_map(mapping->start, bytes, mapping->protection,
                          flags & ~(uint32_t)GATE_MAP_POPULATE, offset);
    }
    return result;
}

/* @impl ATL-LLR-MEMORY-0003~1 */
int64_t slot_map(struct slot *slot, const struct slot_mapping *mapping)
{
    struct region_place place = region_place_at(&slot->tree, mapping->start);
    if (mapping->start < slot->tree.floor || mapping->end > slot->tree.limit ||
        (place.above != NULL && place.above->start < mapping->end)) {
        return -EEXIST;
    }
    int64_t result = slot_reserve_nodes(slot, 1);
    if (result == 0) {
        result = slot_map_pages(mapping);
    }
    if (result == 0) {
        list_mapping(slot, mapping, place);
    }
    return result;
}

int64_t slot_reserve_range(struct slot *slot, uint64_t start, uint64_t end)
{
    int64_t result = slot_reserve_nodes(slot, 1);
    if (result == 0) {
        struct slot_mapping mapping = {.start = start, .end = end, .kind = POSIX_REGION_POSIX};
        list_mapping(slot, &mapping, region_place_at(&slot->tree, start));
    }
    return result;
}

/* After [low, high) became free. */
static void note_free(struct slot *slot, uint64_t low, uint64_t high)
{
    if (high > slot->map_base && low < slot->free_from) {
        slot->free_from = low > slot->map_base ? low : slot->map_base;
    }
}

/* Removes [start, end) from the list, whose first region is given; one node is in the pool if it
 * must be cut in two. */
static void unlist(struct slot *slot, struct region *region, uint64_t start, uint64_t end)
{
    while (region != NULL && region->start < end) {
        uint64_t low = region->start > start ? region->start : start;
        uint64_t high = region->end < end ? region->end : end;
        count_bytes(slot, region, high - low, false);
        note_free(slot, low, high);
        struct region *next = region_next(region);
        if (region->start < start && region->end > end) {
            struct region *upper = take_node(slot);
            region_split(&slot->tree, region, end, upper);
            region_resize(&slot->tree, region, region->start, start);
        } else if (region->start < start) {
            region_resize(&slot->tree, region, region->start, start);
        } else if (region->end > end) {
            region_resize(&slot->tree, region, end, region->end);
        } else {
            region_remove(&slot->tree, region);
            drop_node(slot, region);
        }
        region = next;
    }
}

/* @impl ATL-LLR-MEMORY-0004~1 */
/* @impl ATL-LLR-MEMORY-0018~1 */
int64_t slot_unmap(struct slot *slot, uint64_t start, uint64_t end, bool posix_too)
{
    uint64_t low = 0;
    uint64_t high = 0;
    struct region *first = region_at_or_after(&slot->tree, start);
    const struct region *region = first;
    for (; region != NULL && region->start < end; region = region_next(region)) {
        if (region->kind == POSIX_REGION_POSIX && !posix_too) {
            return -EPERM;
        }
        if (region->kind == POSIX_REGION_FILE || slot_is_backed(region->kind, region->flags)) {
            low = high == 0 ? (region->start > start ? region->start : start) : low;
            high = region->end < end ? region->end : end;
        }
    }
    bool is_cut_in_two = first != NULL && first->start < start && first->end > end;
    int64_t result = is_cut_in_two ? slot_reserve_nodes(slot, 1) : 0;
    if (result == 0 && high != 0) {
        result = gate_unmap(low, high - low, 0);
    }
    if (result == 0) {
        unlist(slot, first, start, end);
    }
    return result;
}

static int64_t may_protect(const struct region *region, uint32_t protection)
{
    if (region->kind == POSIX_REGION_POSIX) {
        return -EPERM;
    }
    if ((region->flags & POSIX_REGION_NO_WRITE) != 0 && (protection & GATE_WRITE) != 0) {
        return -EACCES;
    }
    return 0;
}

/* Changes [start, end), all inside region; two nodes are in the pool. Returns the changed part. */
static struct region *protect_part(struct slot *slot, struct region *region, uint64_t start,
                                   uint64_t end, uint32_t protection)
{
    if (region->start < start) {
        struct region *upper = take_node(slot);
        region_split(&slot->tree, region, start, upper);
        region = upper;
    }
    if (region->end > end) {
        struct region *upper = take_node(slot);
        region_split(&slot->tree, region, end, upper);
    }
    region->protection = (uint8_t)protection;
    region->flags &= (uint8_t)~POSIX_REGION_RESERVED; /* rights are added, or nothing is changed */
    return region;
}

/* The first rights of reserved addresses are a mapping. Where a guard is left below it is a
 * thread's stack, whose last page is written at once: its frame now spares a fault, on the same
 * terms as that of small mappings (mmap.c).
 * @impl ATL-LLR-MEMORY-0020~1
 * @impl ATL-LLR-MEMORY-1341~1 */
static int64_t protect_pages(const struct region *region, uint64_t start, uint64_t bytes,
                             uint32_t protection)
{
    if ((region->flags & POSIX_REGION_RESERVED) != 0) {
        bool is_stack = region->start < start && region->end == start + bytes &&
                        (protection & GATE_WRITE) != 0 &&
                        slot_index(start) % posix_info.core_count == posix_core();
        int64_t result = is_stack ? gate_map(start, bytes, protection, GATE_MAP_LAST, 0) : -ENOMEM;
        return result == -ENOMEM ? gate_map(start, bytes, protection, 0, 0) : result;
    }
    return slot_is_backed(region->kind, region->flags) ? gate_protect(start, bytes, protection) : 0;
}

/* @impl ATL-LLR-MEMORY-0005~1 */
int64_t slot_protect(struct slot *slot, uint64_t start, uint64_t end, uint32_t protection)
{
    uint64_t at = start;
    while (at < end) {
        struct region *region = region_at_or_after(&slot->tree, at);
        if (region == NULL || region->start > at) {
            return -ENOMEM;
        }
        uint64_t high = region->end < end ? region->end : end;
        int64_t result = may_protect(region, protection);
        if (result == 0 && region->protection != protection) {
            uint32_t cuts = (region->start < at ? 1u : 0u) + (region->end > high ? 1u : 0u);
            result = cuts != 0 ? slot_reserve_nodes(slot, cuts) : 0;
            if (result == 0) {
                result = protect_pages(region, at, high - at, protection);
            }
            if (result == 0) {
                merge_around(slot, protect_part(slot, region, at, high, protection));
            }
        }
        if (result < 0) {
            return result;
        }
        at = high;
    }
    return 0;
}
