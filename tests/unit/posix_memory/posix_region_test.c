/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of regions against a map of pages. */
#include "../check.h"
#include "memory/region.h"

#define PAGES 512u
#define OPERATIONS 100000u
#define BASE 0x100000ull

static uint64_t random_state = 1;
static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % below;
}

static uint8_t model[PAGES]; /* 0 free, else 1 + index of the region's node */
static struct region nodes[PAGES];
static bool node_is_used[PAGES];

static uint64_t address_of(uint32_t page)
{
    return BASE + page * POSIX_PAGE_BYTES;
}

static struct region *new_node(void)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        if (!node_is_used[i]) {
            node_is_used[i] = true;
            return &nodes[i];
        }
    }
    abort();
}

static void insert_random(struct region_tree *tree)
{
    uint32_t start = next_random(PAGES);
    uint32_t end = start;
    while (end < PAGES && model[end] == 0 && end - start < next_random(16)) {
        end++;
    }
    if (end == start) {
        return;
    }
    struct region *region = new_node();
    region->start = address_of(start);
    region->end = address_of(end);
    region->offset = 0;
    region_insert(tree, region_place_at(tree, region->start).below, region);
    memset(model + start, 1, end - start);
}

static void remove_random(struct region_tree *tree)
{
    struct region *region = region_at_or_after(tree, address_of(next_random(PAGES)));
    if (region != NULL) {
        region_remove(tree, region);
        node_is_used[region - nodes] = false;
        memset(model + (region->start - BASE) / POSIX_PAGE_BYTES, 0,
               (region->end - region->start) / POSIX_PAGE_BYTES);
    }
}

static void split_or_shrink_random(struct region_tree *tree)
{
    struct region *region = region_at_or_after(tree, address_of(next_random(PAGES)));
    if (region == NULL || region->end - region->start < 2 * POSIX_PAGE_BYTES) {
        return;
    }
    uint64_t middle = region->start + POSIX_PAGE_BYTES;
    if (next_random(2) == 0) {
        region_split(tree, region, middle, new_node());
    } else if (next_random(2) == 0) {
        model[(region->start - BASE) / POSIX_PAGE_BYTES] = 0;
        region_resize(tree, region, middle, region->end);
    } else {
        memset(model + (middle - BASE) / POSIX_PAGE_BYTES, 0,
               (region->end - middle) / POSIX_PAGE_BYTES);
        region_resize(tree, region, region->start, middle);
    }
}

/* The same answer by looking at every page. */
static uint64_t slow_find_gap(uint64_t low, uint64_t bytes)
{
    uint32_t need = (uint32_t)(bytes / POSIX_PAGE_BYTES);
    uint32_t run = 0;
    for (uint32_t page = (uint32_t)((low - BASE) / POSIX_PAGE_BYTES); page < PAGES; page++) {
        run = model[page] == 0 ? run + 1 : 0;
        if (run == need) {
            return address_of(page + 1 - need);
        }
    }
    return 0;
}

static void check_against_model(const struct region_tree *tree)
{
    CHECK(region_tree_is_valid(tree));
    for (uint32_t page = 0; page < PAGES; page++) {
        const struct region *region = region_at_or_after(tree, address_of(page));
        bool is_mapped = region != NULL && region->start <= address_of(page);
        CHECK_EQUAL(is_mapped, model[page] != 0);
    }
}

/* @verifies ATL-LLR-MEMORY-0001~1 */
/* @verifies ATL-LLR-MEMORY-0002~1 */
TEST(tree_agrees_with_a_map_of_pages)
{
    struct region_tree tree = {.floor = BASE, .limit = BASE + PAGES * POSIX_PAGE_BYTES};
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        switch (next_random(3)) {
        case 0:
            insert_random(&tree);
            break;
        case 1:
            remove_random(&tree);
            break;
        default:
            split_or_shrink_random(&tree);
            break;
        }
        uint64_t low = address_of(next_random(PAGES));
        uint64_t bytes = (1 + next_random(20)) * POSIX_PAGE_BYTES;
        CHECK_EQUAL(region_find_gap(&tree, low, bytes), slow_find_gap(low, bytes));
        if (i % 64 == 0) {
            check_against_model(&tree);
        }
    }
}

/* @verifies ATL-LLR-MEMORY-0001~1 */
TEST(neighbours_are_found_in_order)
{
    struct region_tree tree = {.floor = BASE, .limit = BASE + PAGES * POSIX_PAGE_BYTES};
    for (uint32_t i = 0; i < 100; i++) {
        nodes[i] = (struct region){.start = address_of(2 * ((i * 37) % 100)),
                                   .end = address_of(2 * ((i * 37) % 100) + 1)};
        region_insert(&tree, region_place_at(&tree, nodes[i].start).below, &nodes[i]);
    }
    uint32_t count = 0;
    for (struct region *region = region_at_or_after(&tree, 0); region != NULL;
         region = region_next(region)) {
        CHECK_EQUAL(region->start, address_of(2 * count));
        count++;
    }
    CHECK_EQUAL(count, 100);
    CHECK(tree.root->height <= 8);
}

CHECK_MAIN()
