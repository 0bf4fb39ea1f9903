/* SPDX-License-Identifier: Apache-2.0 */
/* The regions of one slot: a balanced tree (AVL) ordered by address. Every region knows the free
 * gap right below it and the largest gap of its subtree, so a free place is found in O(log n).
 * Pure: no gate, no lock, no allocation; nodes are the caller's. */
#ifndef POSIX_MEMORY_REGION_H
#define POSIX_MEMORY_REGION_H

#include <posix/memory.h>

struct region {
    struct region *left, *right, *parent;
    uint64_t start, end;
    uint64_t gap;     /* free bytes between the region below (or the floor) and start */
    uint64_t gap_max; /* largest gap of the subtree */
    const struct image_file *file; /* kinds IMAGE and BEYOND_END */
    uint64_t offset;               /* of start in the file */
    uint8_t protection, kind, flags;
    uint8_t height;
};

struct region_tree {
    struct region *root;
    uint64_t floor, limit; /* every region lies in [floor, limit) */
    uint64_t count;
};

/* Lowest region whose end is above address; NULL: none. */
struct region *region_at_or_after(const struct region_tree *tree, uint64_t address);
/* The same and its neighbour below, in one search; NULL: none. */
struct region_place {
    struct region *below, *above;
};
struct region_place region_place_at(const struct region_tree *tree, uint64_t address);
struct region *region_next(const struct region *region);
struct region *region_previous(const struct region *region);

/* Adds a region that overlaps none, right above below; NULL: below all others. */
void region_insert(struct region_tree *tree, struct region *below, struct region *region);
void region_remove(struct region_tree *tree, struct region *region);
/* Moves a border of a region without reaching a neighbour; the offset follows the start. */
void region_resize(struct region_tree *tree, struct region *region, uint64_t start, uint64_t end);
/* Cuts a region at an address inside it; upper becomes [at, end). */
void region_split(struct region_tree *tree, struct region *region, uint64_t at,
                  struct region *upper);
/* Whether b, which begins where a ends, can be one region with it. */
bool region_can_merge(const struct region *a, const struct region *b);

/* Lowest free address >= low with bytes free behind it; 0: none (0 is never free). */
uint64_t region_find_gap(const struct region_tree *tree, uint64_t low, uint64_t bytes);
/* Whether nothing is in [start, end) and it lies inside the tree's bounds. */
bool region_is_free(const struct region_tree *tree, uint64_t start, uint64_t end);
/* Whether order, heights, gaps and counts hold; for tests. */
bool region_tree_is_valid(const struct region_tree *tree);

#endif
