/* SPDX-License-Identifier: Apache-2.0 */
/* What PVH and multiboot2 loaders leave, and what they must not. */
#include <check.h>
#include <handover.h>

static uint8_t bytes[MULTIBOOT2_BYTES_MAX + 64];
static uint32_t used;
#define PHYSICAL 0x12345000ull
static struct handover info;

static void put32(uint32_t value)
{
    memcpy(bytes + used, &value, 4);
    used += 4;
}

static void put64(uint64_t value)
{
    memcpy(bytes + used, &value, 8);
    used += 8;
}

static void start(void)
{
    memset(bytes, 0, sizeof(bytes));
    used = MULTIBOOT2_HEADER_BYTES;
}

static void put_tag(uint32_t type, const void *content, uint32_t count)
{
    put32(type);
    put32(8 + count);
    memcpy(bytes + used, content, count);
    used = (used + count + 7) & ~7u;
}

static void put_map(uint32_t count, uint32_t stride)
{
    put32(6);
    put32(16 + count * stride);
    put32(stride);
    put32(0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = used;
        put64(i * 0x100000ull);
        put64(0x1000);
        put32(1 + i % 2);
        used = at + stride;
    }
}

static enum result parse(void)
{
    return handover_parse_multiboot2(bytes, used, PHYSICAL, &info);
}

/* @verifies ATL-LLR-BOOT-0004~1 */
TEST(multiboot2_gives_map_and_newest_rsdp)
{
    start();
    put_tag(1, "one two", 8);
    put_tag(99, "unknown", 7);
    put_tag(15, "RSD PTR 345678901234567890123456789012345678", 36);
    put_tag(14, "RSD PTR 2345678901234", 20);
    put_map(3, 24);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_OK);
    CHECK_EQUAL(memcmp(bytes + (info.rsdp - PHYSICAL), "RSD PTR 3", 9), 0);
    CHECK_EQUAL(info.map.count, 3);
    CHECK_EQUAL(info.map.entries[2].start, 0x200000);
    CHECK_EQUAL(info.map.entries[2].bytes, 0x1000);
    CHECK_EQUAL(info.map.entries[1].type, 2);
}

/* @verifies ATL-LLR-BOOT-0004~1 */
TEST(multiboot2_entries_may_be_longer_than_known)
{
    start();
    put_map(5, 40);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_OK);
    CHECK_EQUAL(info.map.count, 5);
    CHECK_EQUAL(info.map.entries[4].start, 0x400000);
}

/* @verifies ATL-LLR-BOOT-0004~1 @robust */
TEST(multiboot2_tags_that_leave_the_bytes_are_refused)
{
    start();
    put_tag(1, "x", 2);
    put_tag(0, "", 0);
    for (uint32_t end = 0; end < used; end++) {
        CHECK_EQUAL(handover_parse_multiboot2(bytes, end, PHYSICAL, &info), RESULT_FORMAT);
    }
    CHECK_EQUAL(parse(), RESULT_OK);
    const uint32_t wrong[] = {0, 7, 100, 0xffffffff, 0xfffffff8};
    for (size_t i = 0; i < 5; i++) {
        memcpy(bytes + MULTIBOOT2_HEADER_BYTES + 4, &wrong[i], 4);
        CHECK_EQUAL(parse(), RESULT_FORMAT);
    }
}

/* @verifies ATL-LLR-BOOT-0004~1 @robust */
TEST(multiboot2_map_strides_and_counts_are_bounded)
{
    start();
    put_map(1, 23);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_FORMAT);
    start();
    put_map(1, 264);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_FORMAT);
    start();
    put_tag(6, "abc", 3);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_FORMAT);
    start();
    put_map(MEMORY_ENTRIES_MAX, 24);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_OK);
    CHECK_EQUAL(info.map.count, MEMORY_ENTRIES_MAX);
    start();
    put_map(MEMORY_ENTRIES_MAX + 1, 24);
    put_tag(0, "", 0);
    CHECK_EQUAL(parse(), RESULT_RANGE);
}

static void fill_pvh(uint8_t *at, uint32_t version, uint32_t count)
{
    start();
    put32(0x336ec578);
    put32(version);
    put64(0);
    put64(0x1111);
    put64(0x2222);
    put64(0x3333);
    put64(0x4444);
    put32(count);
    memcpy(at, bytes + MULTIBOOT2_HEADER_BYTES, PVH_INFO_BYTES);
}

/* @verifies ATL-LLR-BOOT-0005~1 */
TEST(pvh_gives_addresses_and_entries)
{
    uint8_t raw[PVH_INFO_BYTES];
    struct handover pvh;
    fill_pvh(raw, 1, 7);
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_OK);
    CHECK_EQUAL(pvh.rsdp, 0x3333);
    CHECK_EQUAL(pvh.entries, 0x4444);
    CHECK_EQUAL(pvh.map.count, 7);
    const uint64_t raw_entry[] = {0x100000, 0x200000, 5};
    struct memory_entry entry = handover_parse_entry((const uint8_t *)raw_entry);
    CHECK_EQUAL(entry.start, 0x100000);
    CHECK_EQUAL(entry.bytes, 0x200000);
    CHECK_EQUAL(entry.type, 5);
}

/* @verifies ATL-LLR-BOOT-0005~1 @robust */
TEST(pvh_refuses_each_bad_field)
{
    uint8_t raw[PVH_INFO_BYTES];
    struct handover pvh;
    fill_pvh(raw, 0, 7);
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_NO_CALL);
    fill_pvh(raw, 1, 0);
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_RANGE);
    fill_pvh(raw, 1, MEMORY_ENTRIES_MAX + 1);
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_RANGE);
    fill_pvh(raw, 1, MEMORY_ENTRIES_MAX);
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_OK);
    raw[0] ^= 1;
    CHECK_EQUAL(handover_parse_pvh(raw, &pvh), RESULT_FORMAT);
}

CHECK_MAIN()
