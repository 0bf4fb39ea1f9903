/* SPDX-License-Identifier: Apache-2.0 */
/* A slot: its list of regions, its lock, the pool that the list's nodes come from, and the
 * operations that keep list and kernel alike. "Locked" functions are called with slot->lock held;
 * they may park inside map, unmap and protect gate calls and nowhere else (memory.h).
 *
 * Check first, act after: an operation takes the nodes that it may need before its gate call; the
 * list is changed only when the kernel has agreed, and that part cannot fail. */
#ifndef POSIX_MEMORY_SLOT_H
#define POSIX_MEMORY_SLOT_H

#include "region.h"

#define SLOT_REGIONS_MAX 65530u /* as Linux's vm.max_map_count: more is -ENOMEM */

struct slot {
    struct posix_lock lock;
    bool is_ready; /* tree and node pool exist */
    struct region_tree tree;
    uint64_t map_base;         /* mmap searches from here upward, then from the low end */
    uint64_t free_from;        /* nothing is free in [map_base, free_from) */
    struct region *free_nodes; /* linked by .parent; in the same core's slot */
    uint32_t free_node_count;
    uint64_t nodes_next, nodes_end; /* room of the node pool that is not mapped yet */
    uint64_t mapped_bytes;          /* of kinds other than POSIX */
};

/* Takes the lock; the slot is ready afterwards. NULL: no memory for it (nothing is locked). */
struct slot *slot_acquire(uint32_t index);
void slot_release(struct slot *slot);
/* The slot, of which the caller holds the lock if it does more than release it. */
struct slot *slot_at(uint32_t index);
static inline uint32_t slot_index(uint64_t address)
{
    return (uint32_t)(address / GATE_SLOT_BYTES);
}
/* Whether [start, end) is not empty and lies in shared slots above the floor. */
bool slot_range_is_mappable(uint64_t start, uint64_t end);
/* Slots from here on are for reservations that no slot holds: nothing lies in them by itself. */
uint32_t slot_span_first(void);
/* The home slot of a core's mappings. */
uint32_t slot_of_core(uint32_t core);

/* What a new region is; bounds must be free (slot_map) or are freed by the caller. */
struct slot_mapping {
    uint64_t start, end;
    uint32_t protection;
    uint32_t gate_flags; /* GATE_MAP_POPULATE */
    enum posix_region_kind kind;
    uint32_t flags;
    const struct image_file *file;
    uint64_t offset;
};

/* Whether the kernel maps something for a region of that kind and with those flags. */
static inline bool slot_is_backed(uint32_t kind, uint32_t flags)
{
    return kind != POSIX_REGION_BEYOND_END && kind != POSIX_REGION_FILE &&
           (flags & POSIX_REGION_RESERVED) == 0;
}

/* Locked. Maps and lists a region; merges it with equal neighbours.
 * -ENOMEM | -EEXIST | -EACCES | -EINVAL: nothing changed. */
int64_t slot_map(struct slot *slot, const struct slot_mapping *mapping);
/* Locked. Removes everything in [start, end), holes allowed. -EPERM: a region of posix/ is there,
 * unless posix_too. */
int64_t slot_unmap(struct slot *slot, uint64_t start, uint64_t end, bool posix_too);
/* Locked. As mprotect: regions from start up to the first that fails are changed. -ENOMEM hole,
 * -EACCES, -EPERM posix/'s. */
int64_t slot_protect(struct slot *slot, uint64_t start, uint64_t end, uint32_t protection);
/* Locked. Nodes for an operation that makes up to count new regions. -ENOMEM. */
int64_t slot_reserve_nodes(struct slot *slot, uint32_t count);
/* Locked. A free place for bytes at a multiple of alignment, from the map base on; 0: none. */
uint64_t slot_find_place(struct slot *slot, uint64_t bytes, uint64_t alignment);
/* Locked. A random free place; 0: none. */
uint64_t slot_find_random_place(struct slot *slot, uint64_t bytes, uint64_t alignment);
/* Locked. Adds a region that reserves addresses for posix/ and maps nothing. */
int64_t slot_reserve_range(struct slot *slot, uint64_t start, uint64_t end);
/* mmap.c: maps a file shared at range->start, or anywhere; its address. No lock held. */
struct posix_node;
struct posix_shared_range;
int64_t posix_memory_map_shared(struct posix_node *node, const struct posix_shared_range *range,
                                uint32_t region_flags, bool fixed);
/* Locked. Maps the pages of a region's part again as they were at first (image pages). */
int64_t slot_map_pages(const struct slot_mapping *mapping);

#endif
