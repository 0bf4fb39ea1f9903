/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of regions: see region.h. Every change ends in rebalance_up from the lowest node whose
 * subtree changed, which restores height and gap_max on the way up. */
#include "region.h"

static uint8_t height(const struct region *region)
{
    return region != NULL ? region->height : 0;
}

static uint64_t gap_max(const struct region *region)
{
    return region != NULL ? region->gap_max : 0;
}

/* The largest gap of the subtree. */
static uint64_t largest_gap(const struct region *region)
{
    uint64_t largest = region->gap;
    uint64_t below = gap_max(region->left);
    uint64_t above = gap_max(region->right);
    largest = below > largest ? below : largest;
    return above > largest ? above : largest;
}

static void update(struct region *region)
{
    uint8_t left = height(region->left);
    uint8_t right = height(region->right);
    region->height = (uint8_t)((left > right ? left : right) + 1);
    region->gap_max = largest_gap(region);
}

static void replace_child(struct region_tree *tree, struct region *parent, struct region *old,
                          struct region *new)
{
    if (parent == NULL) {
        tree->root = new;
    } else if (parent->left == old) {
        parent->left = new;
    } else {
        parent->right = new;
    }
    if (new != NULL) {
        new->parent = parent;
    }
}

static struct region *rotate_left(struct region_tree *tree, struct region *region)
{
    struct region *top = region->right;
    replace_child(tree, region->parent, region, top);
    region->right = top->left;
    if (region->right != NULL) {
        region->right->parent = region;
    }
    top->left = region;
    region->parent = top;
    update(region);
    update(top);
    return top;
}

static struct region *rotate_right(struct region_tree *tree, struct region *region)
{
    struct region *top = region->left;
    replace_child(tree, region->parent, region, top);
    region->left = top->right;
    if (region->left != NULL) {
        region->left->parent = region;
    }
    top->right = region;
    region->parent = top;
    update(region);
    update(top);
    return top;
}

/* Stops where nothing changes: height and gap_max are what the parent has counted with. */
static void rebalance_up(struct region_tree *tree, struct region *region)
{
    while (region != NULL) {
        uint8_t height_before = region->height;
        uint64_t gap_before = region->gap_max;
        int left = height(region->left);
        int right = height(region->right);
        if (left > right + 1) {
            if (height(region->left->left) < height(region->left->right)) {
                (void)rotate_left(tree, region->left);
            }
            region = rotate_right(tree, region);
        } else if (right > left + 1) {
            if (height(region->right->right) < height(region->right->left)) {
                (void)rotate_right(tree, region->right);
            }
            region = rotate_left(tree, region);
        } else {
            region->height = (uint8_t)((left > right ? left : right) + 1);
            region->gap_max = largest_gap(region);
        }
        if (region->height == height_before && region->gap_max == gap_before) {
            return;
        }
        region = region->parent;
    }
}

/* Only the gap changes: gap_max on the way to the root; stops where nothing changes. */
static void set_gap(struct region *region, uint64_t gap)
{
    region->gap = gap;
    while (region != NULL) {
        uint64_t largest = largest_gap(region);
        if (region->gap_max == largest) {
            return;
        }
        region->gap_max = largest;
        region = region->parent;
    }
}

static void refresh_gap(const struct region_tree *tree, struct region *region)
{
    if (region != NULL) {
        struct region *below = region_previous(region);
        set_gap(region, region->start - (below != NULL ? below->end : tree->floor));
    }
}

/* @impl ATL-LLR-MEMORY-0001~1 */
struct region_place region_place_at(const struct region_tree *tree, uint64_t address)
{
    struct region_place place = {NULL, NULL};
    struct region *region = tree->root;
    while (region != NULL) {
        if (region->end > address) {
            place.above = region;
            region = region->left;
        } else {
            place.below = region;
            region = region->right;
        }
    }
    return place;
}

struct region *region_at_or_after(const struct region_tree *tree, uint64_t address)
{
    return region_place_at(tree, address).above;
}

static struct region *lowest(struct region *region)
{
    while (region != NULL && region->left != NULL) {
        region = region->left;
    }
    return region;
}

struct region *region_next(const struct region *region)
{
    if (region->right != NULL) {
        return lowest(region->right);
    }
    while (region->parent != NULL && region->parent->right == region) {
        region = region->parent;
    }
    return region->parent;
}

struct region *region_previous(const struct region *region)
{
    if (region->left != NULL) {
        struct region *previous = region->left;
        while (previous->right != NULL) {
            previous = previous->right;
        }
        return previous;
    }
    while (region->parent != NULL && region->parent->left == region) {
        region = region->parent;
    }
    return region->parent;
}

/* @impl ATL-LLR-MEMORY-0001~1 */
void region_insert(struct region_tree *tree, struct region *below, struct region *region)
{
    struct region *above = below != NULL ? region_next(below) : lowest(tree->root);
    bool is_right = below != NULL && below->right == NULL;
    region->left = NULL;
    region->right = NULL;
    region->height = 0;
    region->parent = is_right ? below : above; /* one of both has room at that side */
    *(is_right ? &below->right : above != NULL ? &above->left : &tree->root) = region;
    region->gap = region->start - (below != NULL ? below->end : tree->floor);
    tree->count++;
    rebalance_up(tree, region);
    if (above != NULL) {
        set_gap(above, above->start - region->end);
    }
}

/* @impl ATL-LLR-MEMORY-0001~1 */
void region_remove(struct region_tree *tree, struct region *region)
{
    struct region *above = region_next(region);
    struct region *changed;
    if (region->left != NULL && region->right != NULL) {
        changed = above;
        if (above->parent != region) {
            changed = above->parent;
            replace_child(tree, above->parent, above, above->right);
            above->right = region->right;
            above->right->parent = above;
        }
        replace_child(tree, region->parent, region, above);
        above->left = region->left;
        above->left->parent = above;
        above->height = region->height;
        above->gap_max = region->gap_max;
    } else {
        struct region *child = region->left != NULL ? region->left : region->right;
        changed = region->parent;
        replace_child(tree, region->parent, region, child);
    }
    tree->count--;
    rebalance_up(tree, changed);
    refresh_gap(tree, above);
}

void region_resize(struct region_tree *tree, struct region *region, uint64_t start, uint64_t end)
{
    bool start_moves = start != region->start;
    bool end_moves = end != region->end;
    region->offset += start - region->start;
    region->start = start;
    region->end = end;
    if (start_moves) {
        refresh_gap(tree, region);
    }
    struct region *above = end_moves ? region_next(region) : NULL;
    if (above != NULL) {
        set_gap(above, above->start - end);
    }
}

void region_split(struct region_tree *tree, struct region *region, uint64_t at,
                  struct region *upper)
{
    *upper = *region;
    upper->start = at;
    upper->offset = region->offset + (at - region->start);
    region->end = at; /* the gap of the region above stays: upper fills it before anyone looks */
    region_insert(tree, region, upper);
}

bool region_can_merge(const struct region *a, const struct region *b)
{
    if (a->end != b->start || a->protection != b->protection || a->kind != b->kind ||
        a->flags != b->flags || a->file != b->file || a->kind == POSIX_REGION_POSIX ||
        a->kind == POSIX_REGION_FILE) {
        return false;
    }
    return a->file == NULL || a->offset + (a->end - a->start) == b->offset;
}

/* Recursion is bounded by the height of the tree: 1.45 log2(65536) = 24. */
static uint64_t find_gap(const struct region *region, uint64_t low, uint64_t bytes)
{
    if (region == NULL || region->gap_max < bytes) {
        return 0;
    }
    if (region->start > low) {
        uint64_t found = find_gap(region->left, low, bytes);
        if (found != 0) {
            return found;
        }
        uint64_t begin = region->start - region->gap;
        begin = begin > low ? begin : low;
        if (region->start - begin >= bytes) {
            return begin;
        }
    }
    return find_gap(region->right, low, bytes);
}

/* @impl ATL-LLR-MEMORY-0002~1 */
uint64_t region_find_gap(const struct region_tree *tree, uint64_t low, uint64_t bytes)
{
    low = low > tree->floor ? low : tree->floor;
    uint64_t found = find_gap(tree->root, low, bytes);
    if (found != 0) {
        return found;
    }
    const struct region *last = tree->root;
    while (last != NULL && last->right != NULL) {
        last = last->right;
    }
    uint64_t begin = last != NULL && last->end > low ? last->end : low;
    return begin < tree->limit && tree->limit - begin >= bytes ? begin : 0;
}

bool region_is_free(const struct region_tree *tree, uint64_t start, uint64_t end)
{
    if (start < tree->floor || end > tree->limit || start >= end) {
        return false;
    }
    const struct region *region = region_at_or_after(tree, start);
    return region == NULL || region->start >= end;
}

static bool subtree_is_valid(const struct region *region, uint64_t *count)
{
    if (region == NULL) {
        return true;
    }
    ++*count;
    int balance = (int)height(region->left) - (int)height(region->right);
    struct region copy = *region;
    update(&copy);
    return balance >= -1 && balance <= 1 && copy.height == region->height &&
           copy.gap_max == region->gap_max &&
           (region->left == NULL || region->left->parent == region) &&
           (region->right == NULL || region->right->parent == region) &&
           subtree_is_valid(region->left, count) && subtree_is_valid(region->right, count);
}

bool region_tree_is_valid(const struct region_tree *tree)
{
    uint64_t count = 0;
    if (!subtree_is_valid(tree->root, &count) || count != tree->count) {
        return false;
    }
    uint64_t end = tree->floor;
    for (const struct region *region = region_at_or_after(tree, 0); region != NULL;
         region = region_next(region)) {
        if (region->start < end || region->start - end != region->gap ||
            region->end <= region->start || region->end > tree->limit) {
            return false;
        }
        end = region->end;
    }
    return true;
}
