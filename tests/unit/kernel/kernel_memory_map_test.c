/* SPDX-License-Identifier: Apache-2.0 */
/* Memory maps as loaders tell them, good and bad. */
#include <check.h>
#include <handover.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define NO_LIMIT (1ull << 52)
#define RESERVED 2u

static struct facts facts;

static const struct memory_map *map_of(const struct memory_entry *entries, uint32_t count)
{
    static struct memory_map map;
    map.count = count;
    memcpy(map.entries, entries, count * sizeof(*entries));
    return &map;
}

static enum result build(const struct memory_entry *entries, uint32_t count)
{
    const struct memory_map *map = map_of(entries, count);
    TRY(memory_map_check(map));
    memory_map_build(map, NO_LIMIT, &facts);
    return facts.memory_range_count != 0 ? RESULT_OK : RESULT_NO_MEMORY;
}

static void check_range(uint32_t index, uint64_t start, uint64_t end)
{
    CHECK(index < facts.memory_range_count);
    CHECK_EQUAL(facts.memory[index].start, start);
    CHECK_EQUAL(facts.memory[index].end, end);
}

/* @verifies ATL-LLR-BOOT-0002~2 */
TEST(a_pc_map_gives_sorted_ranges)
{
    const struct memory_entry entries[] = {
        {4 * GIB, 2 * GIB, MEMORY_TYPE_RAM},
        {0, 0x9fc00, MEMORY_TYPE_RAM},
        {0x9fc00, 0x400, RESERVED},
        {0xf0000, 0x10000, RESERVED},
        {MIB, 2 * GIB - MIB, MEMORY_TYPE_RAM},
    };
    CHECK_EQUAL(build(entries, 5), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 3);
    check_range(0, 0x10000, 0x9f000);
    check_range(1, MIB, 2 * GIB);
    check_range(2, 4 * GIB, 6 * GIB);
}

/* @verifies ATL-LLR-BOOT-0002~2 */
TEST(overlapping_and_touching_ram_becomes_one_range)
{
    const struct memory_entry entries[] = {
        {4 * MIB, 4 * MIB, MEMORY_TYPE_RAM},
        {6 * MIB, 4 * MIB, MEMORY_TYPE_RAM},
        {2 * MIB, 2 * MIB, MEMORY_TYPE_RAM},
        {3 * MIB, MIB, MEMORY_TYPE_RAM},
    };
    CHECK_EQUAL(build(entries, 4), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 1);
    check_range(0, 2 * MIB, 10 * MIB);
}

/* @verifies ATL-LLR-BOOT-0002~2 */
TEST(other_types_win_over_ram_in_whole_pages)
{
    const struct memory_entry entries[] = {
        {5 * MIB + 100, 200, RESERVED},
        {MIB, 15 * MIB, MEMORY_TYPE_RAM},
        {8 * MIB - 1, 2, 3},
    };
    CHECK_EQUAL(build(entries, 3), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 3);
    check_range(0, MIB, 5 * MIB);
    check_range(1, 5 * MIB + PAGE_BYTES, 8 * MIB - PAGE_BYTES);
    check_range(2, 8 * MIB + PAGE_BYTES, 16 * MIB);
}

/* @verifies ATL-LLR-BOOT-0002~2 */
TEST(ram_shrinks_to_whole_pages)
{
    const struct memory_entry entries[] = {{2 * MIB + 1, 3 * PAGE_BYTES, MEMORY_TYPE_RAM},
                                           {4 * MIB + 1, PAGE_BYTES, MEMORY_TYPE_RAM}};
    CHECK_EQUAL(build(entries, 2), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 1);
    check_range(0, 2 * MIB + PAGE_BYTES, 2 * MIB + 3 * PAGE_BYTES);
}

/* @verifies ATL-LLR-BOOT-0002~2 */
TEST(what_is_used_and_the_limit_are_cut_out)
{
    const struct memory_entry entries[] = {{0, 64 * MIB, MEMORY_TYPE_RAM},
                                           {MIB, 2 * MIB + 1, MEMORY_TYPE_USED},
                                           {30 * MIB, MIB, MEMORY_TYPE_USED},
                                           {0, 0, MEMORY_TYPE_USED}};
    memory_map_build(map_of(entries, 4), 40 * MIB + 5, &facts);
    CHECK_EQUAL(facts.memory_range_count, 3);
    check_range(0, 0x10000, MIB);
    check_range(1, 3 * MIB + PAGE_BYTES, 30 * MIB);
    check_range(2, 31 * MIB, 40 * MIB);
    CHECK_EQUAL(facts.info.memory_bytes, 37 * MIB - PAGE_BYTES - 0x10000);
    facts.low_page = 0x18000;
    memory_map_build(map_of(entries, 4), 40 * MIB + 5, &facts);
    check_range(0, 0x19000, MIB);
    facts.low_page = 0;
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(bad_counts_are_refused)
{
    static struct memory_entry entries[MEMORY_ENTRIES_MAX + 1];
    for (uint32_t i = 0; i < MEMORY_ENTRIES_MAX + 1; i++) {
        entries[i] = (struct memory_entry){MIB, MIB, MEMORY_TYPE_RAM};
    }
    CHECK_EQUAL(build(entries, 0), RESULT_RANGE);
    CHECK_EQUAL(build(entries, MEMORY_ENTRIES_MAX + 1), RESULT_RANGE);
    CHECK_EQUAL(build(entries, MEMORY_ENTRIES_MAX), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 1);
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(an_entry_that_wraps_is_refused)
{
    const struct memory_entry entries[] = {{MIB, MIB, MEMORY_TYPE_RAM},
                                           {UINT64_MAX - 4095, 8192, MEMORY_TYPE_RAM}};
    CHECK_EQUAL(build(entries, 2), RESULT_FORMAT);
    const struct memory_entry reserved[] = {{MIB, MIB, MEMORY_TYPE_RAM}, {1, UINT64_MAX, RESERVED}};
    CHECK_EQUAL(build(reserved, 2), RESULT_FORMAT);
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(reserved_up_to_the_top_of_the_address_space_is_cut)
{
    const struct memory_entry entries[] = {{MIB, MIB, MEMORY_TYPE_RAM},
                                           {3 * MIB / 2, UINT64_MAX - 3 * MIB / 2, RESERVED}};
    CHECK_EQUAL(build(entries, 2), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, 1);
    check_range(0, MIB, 3 * MIB / 2);
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(nothing_usable_is_reported)
{
    const struct memory_entry low[] = {{0, 0x10000, MEMORY_TYPE_RAM}};
    CHECK_EQUAL(build(low, 1), RESULT_NO_MEMORY);
    const struct memory_entry covered[] = {{MIB, MIB, MEMORY_TYPE_RAM}, {0, GIB, RESERVED}};
    CHECK_EQUAL(build(covered, 2), RESULT_NO_MEMORY);
    const struct memory_entry empty[] = {{MIB, 0, MEMORY_TYPE_RAM}};
    CHECK_EQUAL(build(empty, 1), RESULT_NO_MEMORY);
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(as_many_pieces_as_entries_are_all_kept)
{
    static struct memory_entry entries[MEMORY_ENTRIES_MAX];
    for (uint32_t i = 0; i < MEMORY_ENTRIES_MAX; i++) {
        uint64_t bytes = (1 + i % 7) * PAGE_BYTES;
        entries[i] = (struct memory_entry){(10 + i) * MIB, bytes, MEMORY_TYPE_RAM};
    }
    CHECK_EQUAL(build(entries, MEMORY_ENTRIES_MAX), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, MEMORY_ENTRIES_MAX);
    for (uint32_t i = 0; i < MEMORY_ENTRIES_MAX; i++) {
        check_range(i, entries[i].start, entries[i].start + entries[i].bytes);
    }
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(holes_in_one_piece_make_no_more_ranges_than_entries)
{
    static struct memory_entry entries[MEMORY_ENTRIES_MAX] = {{0, 2 * GIB, MEMORY_TYPE_RAM}};
    for (uint32_t i = 1; i < MEMORY_ENTRIES_MAX; i++) {
        entries[i] = (struct memory_entry){(uint64_t)(1 + i) * MIB, PAGE_BYTES, RESERVED};
    }
    CHECK_EQUAL(build(entries, MEMORY_ENTRIES_MAX), RESULT_OK);
    CHECK_EQUAL(facts.memory_range_count, MEMORY_ENTRIES_MAX);
}

/* @verifies ATL-LLR-BOOT-0002~2 @robust */
TEST(random_maps_never_give_what_is_not_ram)
{
    srand(7);
    for (uint32_t round = 0; round < 2000; round++) {
        struct memory_entry entries[12];
        for (uint32_t i = 0; i < 12; i++) {
            entries[i] = (struct memory_entry){MIB + (uint64_t)(rand() % 64) * 1024,
                                               (uint64_t)(rand() % 64) * 1024,
                                               rand() % 3 == 0 ? RESERVED : MEMORY_TYPE_RAM};
        }
        if (build(entries, 12) != RESULT_OK) {
            continue;
        }
        for (uint32_t i = 0; i < facts.memory_range_count; i++) {
            CHECK(facts.memory[i].start < facts.memory[i].end);
            CHECK(i == 0 || facts.memory[i - 1].end < facts.memory[i].start);
            for (uint64_t at = facts.memory[i].start; at < facts.memory[i].end; at += PAGE_BYTES) {
                CHECK(memory_map_is_ram(map_of(entries, 12), at, at + PAGE_BYTES));
            }
        }
    }
}

/* @verifies ATL-LLR-BOOT-0003~1 */
TEST(the_low_page_is_free_ram)
{
    const struct memory_entry pc[] = {{0, 0x9fc00, MEMORY_TYPE_RAM}, {0x9fc00, 0x400, RESERVED}};
    CHECK_EQUAL(memory_map_low_page(map_of(pc, 2)), 0x8000);
    const struct memory_entry used[] = {{0, 0x9fc00, MEMORY_TYPE_RAM}, {0x7fff, 0x2002, RESERVED}};
    CHECK_EQUAL(memory_map_low_page(map_of(used, 2)), 0xb000);
}

/* @verifies ATL-LLR-BOOT-0003~1 @robust */
TEST(no_low_page_is_reported)
{
    const struct memory_entry none[] = {{MIB, GIB, MEMORY_TYPE_RAM}, {0, 0x8fff, MEMORY_TYPE_RAM}};
    CHECK_EQUAL(memory_map_low_page(map_of(none, 2)), 0);
}

CHECK_MAIN()
