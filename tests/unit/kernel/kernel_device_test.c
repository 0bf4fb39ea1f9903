/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are taken for those of device registers. */
#include <check.h>
#include <driver/device.h>
#include <kernel/layout.h>

struct facts shared_facts;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

#define PAGE(index) (LAYOUT_DEVICE_BASE + (index)*PAGE_BYTES)
#define MIB (1ull << 20)

static void machine(void)
{
    shared_facts = (struct facts){
        .memory = {{4 * MIB, 128 * MIB}, {4096 * MIB, 8192 * MIB}},
        .memory_range_count = 2,
        .image_physical = 2 * MIB,
        .image_bytes = 2 * MIB,
        .physical_address_bits = 40,
    };
}

/* @verifies ATL-LLR-VIRTIO-0003~1 */
TEST(registers_are_shown_by_whole_pages_in_order)
{
    machine();
    CHECK_EQUAL(device_show(0xfec00000, 0x20), PAGE(0));
    CHECK_EQUAL(device_show(0xfeb02e00, 0x200), PAGE(1) + 0xe00);
    CHECK_EQUAL(device_show(0xfe000fff, 2), PAGE(2) + 0xfff);
    CHECK_EQUAL(device_show(1ull << 39, DEVICE_BYTES_MAX), PAGE(4));
    CHECK_EQUAL(shared_facts.device_page_count, 4 + DEVICE_BYTES_MAX / PAGE_BYTES);
    CHECK_EQUAL(shared_facts.device_pages[2], 0xfe000000);
    CHECK_EQUAL(shared_facts.device_pages[3], 0xfe001000);
    CHECK_EQUAL(shared_facts.device_pages[5], (1ull << 39) + PAGE_BYTES);
}

/* @verifies ATL-LLR-VIRTIO-0003~1 @robust */
TEST(memory_and_what_is_beyond_all_addresses_is_refused)
{
    const uint64_t addresses[] = {0,
                                  0xa0000,
                                  1 * MIB,
                                  4 * MIB - 1,
                                  4 * MIB,
                                  128 * MIB - 1,
                                  4096 * MIB - 1,
                                  8191 * MIB,
                                  1ull << 40,
                                  (1ull << 40) - PAGE_BYTES,
                                  UINT64_MAX};
    machine();
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        CHECK_EQUAL(device_show(addresses[i], 4), 0);
    }
    CHECK_EQUAL(device_show(128 * MIB, 4), PAGE(0));
    CHECK_EQUAL(shared_facts.device_page_count, 1);
}

/* @verifies ATL-LLR-NEIGHBOUR-1010~1 @robust */
TEST(memory_of_a_neighbour_is_no_memory_of_the_machine)
{
    const uint64_t bytes = FACTS_NEIGHBOUR_BYTES;
    machine();
    CHECK(device_may_be_at(0xfe000000, bytes) && device_may_be_at(128 * MIB, bytes));
    CHECK(device_may_be_at(4096 * MIB - bytes, bytes) && device_may_be_at(8192 * MIB, bytes));
    CHECK(!device_may_be_at(4096 * MIB - bytes + 1, bytes));
    CHECK(!device_may_be_at(4 * MIB - bytes, bytes) && !device_may_be_at(8192 * MIB - 1, bytes));
    CHECK(device_may_be_at((1ull << 40) - bytes, bytes));
    CHECK(!device_may_be_at((1ull << 40) - bytes + 1, bytes));
    CHECK(!device_may_be_at(UINT64_MAX, bytes) && !device_may_be_at(0, bytes));
}

/* @verifies ATL-LLR-VIRTIO-0003~1 @robust */
TEST(pages_run_out)
{
    machine();
    for (uint32_t i = 0; i + 1 < FACTS_DEVICE_PAGES_MAX; i++) {
        CHECK_EQUAL(device_show(0xfe000000, 4), PAGE(i));
    }
    CHECK_EQUAL(device_show(0xfe000fff, 2), 0);
    CHECK_EQUAL(device_show(0xfe000000, 4), PAGE(FACTS_DEVICE_PAGES_MAX - 1));
    CHECK_EQUAL(device_show(0xfe000000, 4), 0);
    CHECK_EQUAL(shared_facts.device_page_count, FACTS_DEVICE_PAGES_MAX);
}

CHECK_MAIN()
