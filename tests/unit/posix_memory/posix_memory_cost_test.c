/* SPDX-License-Identifier: Apache-2.0 */
/* What small mappings cost: gate calls, and whether their frames are there before they are used. */
#include "../check.h"
#include "shim.h"

#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>

#define PAGE 4096ull
#define PRIVATE_ANONYMOUS 0x22u
#define READ_WRITE 3u

static void start(void)
{
    static bool is_started;
    static struct test_image image;
    static const struct test_file program = {"/program", 0100755, "program", 7};
    if (!is_started) {
        struct test_strings none = {"", 0, 0};
        is_started = true;
        image = test_image_build(&program, 1, "/program", none, none);
        shim_start(&image);
        posix_memory_initialize();
    }
}

static int64_t map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags)
{
    return posix_mmap(address, bytes, protection, flags, UINT64_MAX, 0);
}

/* @verifies ATL-LLR-MEMORY-0019~1 */
TEST(a_page_mapped_and_unmapped_again_costs_two_gate_calls_and_the_same_place)
{
    start();
    int64_t first = map(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    CHECK_EQUAL(posix_munmap((uint64_t)first, PAGE), 0);
    uint64_t calls = shim_gate_calls;
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(map(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS), first);
        CHECK_EQUAL(posix_munmap((uint64_t)first, PAGE), 0);
    }
    CHECK_EQUAL(shim_gate_calls - calls, 200);
}

static uint64_t flags_of_map(uint64_t pages, uint64_t protection)
{
    shim_map_flags = UINT64_MAX;
    int64_t mapped = map(0, pages * PAGE, protection, PRIVATE_ANONYMOUS);
    uint64_t flags = shim_map_flags;
    CHECK_EQUAL(posix_munmap((uint64_t)mapped, pages * PAGE), 0);
    return flags;
}

/* @verifies ATL-LLR-POSIX-1020~1 */
TEST(a_few_writable_pages_have_their_frames_at_once_unless_there_are_none)
{
    start();
    CHECK_EQUAL(flags_of_map(1, READ_WRITE), GATE_MAP_POPULATE);
    CHECK_EQUAL(flags_of_map(4, READ_WRITE), GATE_MAP_POPULATE);
    CHECK_EQUAL(flags_of_map(5, READ_WRITE), 0);
    CHECK_EQUAL(flags_of_map(1, 1), 0);
    shim_fail_map = 1;
    CHECK_EQUAL(flags_of_map(1, READ_WRITE), 0);
    CHECK_EQUAL(shim_fail_map, 0);
    /* A slot of another core: its frames would come by message. */
    int64_t mapped = map(0, 16 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    CHECK_EQUAL(posix_munmap((uint64_t)mapped, 16 * PAGE), 0);
    shim_core = 1;
    CHECK_EQUAL(map((uint64_t)mapped, PAGE, READ_WRITE, PRIVATE_ANONYMOUS), mapped);
    shim_core = 0;
    CHECK_EQUAL(shim_map_flags, 0);
    CHECK_EQUAL(posix_munmap((uint64_t)mapped, PAGE), 0);
}

static uint64_t flags_of_rights(uint64_t at, uint64_t pages, uint64_t protection)
{
    const uint64_t reserved = 34;
    uint64_t start = (uint64_t)map(0, reserved * PAGE, 0, PRIVATE_ANONYMOUS);
    shim_map_flags = UINT64_MAX;
    CHECK_EQUAL(posix_mprotect(start + at * PAGE, pages * PAGE, protection), 0);
    uint64_t flags = shim_map_flags;
    CHECK_EQUAL(posix_munmap(start, reserved * PAGE), 0);
    return flags;
}

/* As thread libraries make one: addresses, then rights to all but the lowest.
 * @verifies ATL-LLR-MEMORY-1341~1 */
TEST(a_stack_above_its_guard_has_its_last_page_at_once_unless_there_is_none)
{
    start();
    CHECK_EQUAL(flags_of_rights(1, 33, READ_WRITE), GATE_MAP_LAST);
    CHECK_EQUAL(flags_of_rights(0, 34, READ_WRITE), 0); /* no guard */
    CHECK_EQUAL(flags_of_rights(1, 32, READ_WRITE), 0); /* not to the end */
    CHECK_EQUAL(flags_of_rights(1, 33, 1), 0);
    shim_fail_map = 1;
    CHECK_EQUAL(flags_of_rights(1, 33, READ_WRITE), 0);
    CHECK_EQUAL(shim_fail_map, 0);
    /* A slot of another core: the frame would come by message. */
    uint64_t start = (uint64_t)map(0, 34 * PAGE, 0, PRIVATE_ANONYMOUS);
    shim_core = 1;
    CHECK_EQUAL(posix_mprotect(start + PAGE, 33 * PAGE, READ_WRITE), 0);
    shim_core = 0;
    CHECK_EQUAL(shim_map_flags, 0);
    CHECK_EQUAL(posix_munmap(start, 34 * PAGE), 0);
}

/* @verifies ATL-LLR-POSIX-1021~1 */
TEST(only_what_must_be_zero_is_cleared)
{
    start();
    uint8_t *first = posix_allocate_buffer(4000);
    uint8_t *other = posix_allocate_buffer(4000);
    CHECK(first != NULL && (uintptr_t)first % 16 == 0);
    CHECK(other != NULL && (other >= first + 4000 || first >= other + 4000));
    memset(first, 7, 4000);
    posix_free(first);
    CHECK(posix_allocate_buffer(4000) == first && first[100] == 7);
    posix_free(first);
    CHECK(posix_allocate(4000) == first && first[100] == 0);
    posix_free(first);
    posix_free(other);
    shim_fail_map = 1;
    CHECK(posix_allocate_buffer(1 << 20) == NULL);
    shim_fail_map = 0;
}

CHECK_MAIN()
