/* SPDX-License-Identifier: Apache-2.0 */
/* mmap and its relatives on the build machine's memory: random calls against a model of pages, then
 * every error and effect that a program can see. */
#include "../check.h"
#include "shim.h"

#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>

#define PAGE 4096ull
#define PRIVATE_ANONYMOUS 0x22u
#define FIXED 0x10u
#define NO_REPLACE 0x100000u
#define READ_WRITE 3u
#define NO_FILE UINT64_MAX
#define TEXT(string_) ((uint64_t)(uintptr_t)(string_))

static uint64_t random_state = 42;
static uint32_t next_random(uint32_t below)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % below;
}

static uint8_t content[10000];
static const struct test_file files[] = {
    {"/data", 0100644, content, sizeof(content)},
    {"/program", 0100755, "program", 7},
};

static void start(void)
{
    static bool is_started;
    static struct test_image image;
    if (is_started) {
        return;
    }
    is_started = true;
    for (size_t i = 0; i < sizeof(content); i++) {
        content[i] = (uint8_t)(i * 13 + i / 251);
    }
    struct test_strings none = {"", 0, 0};
    image = test_image_build(files, 2, "/program", none, none);
    shim_start(&image);
    posix_memory_initialize();
    posix_file_initialize();
    posix_memory_set_heap(0x500000);
}

static int64_t map(uint64_t address, uint64_t bytes, uint32_t protection, uint32_t flags)
{
    return posix_mmap(address, bytes, protection, flags, NO_FILE, 0);
}

/* ---- the model: a window of pages in the middle of a slot, each with its protection or free */
#define WINDOW 64u
static int8_t model[WINDOW]; /* -1 free, else PROT_* */
static uint64_t window;

static void model_set(uint32_t first, uint32_t count, int8_t value)
{
    memset(model + first, value, count);
}

static void check_window(void)
{
    for (uint32_t page = 0; page < WINDOW; page++) {
        struct posix_region_info region;
        bool found = posix_memory_find(window + page * PAGE, false, &region);
        CHECK_EQUAL(found ? (int)region.protection : -1, model[page]);
        if (page % 8 == next_random(8)) {
            int below = shim_protection_at(window + page * PAGE); /* -1: reserved addresses */
            CHECK(below == model[page] || (below == -1 && model[page] == 0));
        }
    }
}

static bool has_hole(uint32_t first, uint32_t count, uint32_t *hole)
{
    for (uint32_t i = first; i < first + count; i++) {
        if (model[i] < 0) {
            *hole = i;
            return true;
        }
    }
    return false;
}

static void random_call(void)
{
    static const uint8_t protections[] = {0, 1, 3, 5};
    uint32_t first = next_random(WINDOW);
    uint32_t count = 1 + next_random(WINDOW - first < 20 ? WINDOW - first : 20);
    count = first + count > WINDOW ? WINDOW - first : count;
    uint64_t address = window + first * PAGE;
    uint8_t protection = protections[next_random(4)];
    uint32_t hole = 0;
    switch (next_random(4)) {
    case 0:
        CHECK_EQUAL(map(address, count * PAGE, protection, PRIVATE_ANONYMOUS | FIXED), address);
        model_set(first, count, (int8_t)protection);
        break;
    case 1:
        CHECK_EQUAL(posix_munmap(address, count * PAGE - next_random(4095)), 0);
        model_set(first, count, -1);
        break;
    case 2:
        if (has_hole(first, count, &hole)) {
            CHECK_EQUAL(posix_mprotect(address, count * PAGE, protection), -ENOMEM);
            model_set(first, hole - first, (int8_t)protection);
        } else {
            CHECK_EQUAL(posix_mprotect(address, count * PAGE, protection), 0);
            model_set(first, count, (int8_t)protection);
        }
        break;
    default: {
        bool is_used = false;
        for (uint32_t i = first; i < first + count; i++) {
            is_used = is_used || model[i] >= 0;
        }
        int64_t result = map(address, count * PAGE, protection, PRIVATE_ANONYMOUS | NO_REPLACE);
        CHECK_EQUAL(result, is_used ? -EEXIST : (int64_t)address);
        if (!is_used) {
            model_set(first, count, (int8_t)protection);
        }
        break;
    }
    }
}

/* @verifies ATL-LLR-MEMORY-0003~1 */
/* @verifies ATL-LLR-MEMORY-0004~1 */
/* @verifies ATL-LLR-MEMORY-0005~1 */
/* @verifies ATL-LLR-MEMORY-0010~1 */
TEST(random_calls_agree_with_the_model)
{
    start();
    window = 40 * GATE_SLOT_BYTES + (1ull << 36);
    memset(model, -1, sizeof(model));
    for (uint32_t i = 0; i < 20000; i++) {
        random_call();
        if (i % 50 == 0) {
            check_window();
        }
    }
    CHECK_EQUAL(posix_munmap(window, WINDOW * PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0006~1 */
TEST(mmap_answers_bad_requests_as_linux_does)
{
    start();
    CHECK_EQUAL(map(0, 0, READ_WRITE, PRIVATE_ANONYMOUS), -EINVAL);
    CHECK_EQUAL(map(0, PAGE, READ_WRITE, 0x20), -EINVAL);
    CHECK_EQUAL(map(0, UINT64_MAX, READ_WRITE, PRIVATE_ANONYMOUS), -ENOMEM);
    CHECK_EQUAL(map(0, 1ull << 45, READ_WRITE, PRIVATE_ANONYMOUS), -ENOMEM);
    CHECK_EQUAL(map(0x100001, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | FIXED), -EINVAL);
    CHECK_EQUAL(map(0x1000, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | FIXED), -EPERM);
    CHECK_EQUAL(map(1ull << 47, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | FIXED), -ENOMEM);
    CHECK_EQUAL(map(0, PAGE, 7, PRIVATE_ANONYMOUS), -EACCES);
    CHECK_EQUAL(posix_mmap(0, PAGE, 1, 2, 77, 0), -EBADF);
    CHECK_EQUAL(posix_mmap(0, PAGE, 1, 2, 0, 1), -EINVAL);
    CHECK_EQUAL(posix_mmap(0, PAGE, 1, 2, 0, UINT64_MAX & ~4095ull), -EOVERFLOW);
    CHECK_EQUAL(posix_mmap(0, PAGE, 1, 2, 0, 0), -ENODEV); /* a terminal */
    shim_allow_write_execute(true);
    int64_t place = map(0, PAGE, 7, PRIVATE_ANONYMOUS);
    CHECK(place > 0);
    CHECK_EQUAL(posix_munmap((uint64_t)place, PAGE), 0);
    shim_allow_write_execute(false);
}

/* @verifies ATL-LLR-MEMORY-0006~1 */
TEST(mmap_takes_a_free_hint_and_leaves_a_taken_one)
{
    start();
    uint64_t hint = 33 * GATE_SLOT_BYTES + (1ull << 30);
    CHECK_EQUAL(map(hint + 5, 2 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS), hint);
    int64_t other = map(hint + PAGE, PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    CHECK(other > 0 && (uint64_t)other != hint + PAGE);
    CHECK_EQUAL(posix_munmap(hint, 2 * PAGE), 0);
    CHECK_EQUAL(posix_munmap((uint64_t)other, PAGE), 0);
    int64_t low = map(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | 0x40);
    CHECK(low > 0 && low < (1ll << 31));
    CHECK_EQUAL(posix_munmap((uint64_t)low, PAGE), 0);
}

/* A program with room for its heap is not put where the next mapping will be: the library OS maps
 * something between the choice and the program.
 *
 * @verifies ATL-LLR-MEMORY-0011~1 */
TEST(a_random_place_is_not_behind_what_is_mapped)
{
    start();
    int64_t last = map(0, PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    CHECK(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t place = posix_memory_place(16ull << 30, false);
        CHECK(place != 0 && place != (uint64_t)last + PAGE);
    }
    CHECK_EQUAL(posix_munmap((uint64_t)last, PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0006~1 */
/* @verifies ATL-LLR-MEMORY-0011~1 */
TEST(mappings_lie_in_slots_of_the_calling_core)
{
    start();
    for (shim_core = 0; shim_core < 2; shim_core++) {
        int64_t place = map(0, 3 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
        CHECK(place > 0);
        CHECK_EQUAL((uint64_t)place / GATE_SLOT_BYTES % 2, shim_core);
        CHECK_EQUAL(posix_munmap((uint64_t)place, 3 * PAGE), 0);
    }
    shim_core = 0;
}

/* @verifies ATL-LLR-MEMORY-0003~1 */
TEST(a_failed_gate_call_changes_nothing)
{
    start();
    uint64_t at = 34 * GATE_SLOT_BYTES + (1ull << 30);
    CHECK_EQUAL(map(at, PAGE, READ_WRITE, PRIVATE_ANONYMOUS), at);
    shim_fail_map = 1;
    CHECK_EQUAL(map(at + PAGE, 8 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS | NO_REPLACE), -ENOMEM);
    shim_fail_map = 0;
    struct posix_region_info region;
    CHECK(posix_memory_find(at, false, &region));
    CHECK_EQUAL(region.end, at + PAGE);
    CHECK(!posix_memory_find(at + PAGE, false, &region));
    CHECK_EQUAL(posix_munmap(at, PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0004~1 */
/* @verifies ATL-LLR-MEMORY-0005~1 */
TEST(munmap_and_mprotect_check_their_arguments)
{
    start();
    CHECK_EQUAL(posix_munmap(1, PAGE), -EINVAL);
    CHECK_EQUAL(posix_munmap(PAGE, 0), -EINVAL);
    CHECK_EQUAL(posix_munmap(0, UINT64_MAX), -EINVAL);
    CHECK_EQUAL(posix_munmap(36 * GATE_SLOT_BYTES - PAGE, 2 * PAGE), 0); /* holes across slots */
    CHECK_EQUAL(posix_mprotect(1, PAGE, 1), -EINVAL);
    CHECK_EQUAL(posix_mprotect(PAGE, PAGE, 64), -EINVAL);
    CHECK_EQUAL(posix_mprotect(PAGE, 0, 1), 0);
    CHECK_EQUAL(posix_mprotect(36 * GATE_SLOT_BYTES, PAGE, 1), -ENOMEM);
    CHECK_EQUAL(posix_mprotect(PAGE, PAGE, 6), -EACCES);
}

/* @verifies ATL-LLR-MEMORY-0018~1 */
TEST(what_posix_owns_is_out_of_reach)
{
    start();
    uint8_t *own = posix_allocate(100);
    uint64_t page = (uintptr_t)own & ~4095ull;
    CHECK_EQUAL(posix_munmap(page, PAGE), -EPERM);
    CHECK_EQUAL(posix_mprotect(page, PAGE, 1), -EPERM);
    CHECK_EQUAL(map(page, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | FIXED), -EPERM);
    CHECK_EQUAL(posix_mremap(page, PAGE, 2 * PAGE, 1, 0), -EPERM);
    CHECK_EQUAL(posix_madvise(page, PAGE, 4), -EINVAL);
    own[0] = 1;
    posix_free(own);
}

static int64_t open_file(const char *path, uint32_t flags)
{
    return posix_open(TEXT(path), flags, 0644);
}

/* @verifies ATL-LLR-MEMORY-0007~1 */
/* @verifies ATL-LLR-FILE-0017~1 */
TEST(a_file_of_the_image_is_mapped_copy_on_write)
{
    start();
    int64_t file = open_file("/data", 0);
    CHECK(file >= 0);
    int64_t at = posix_mmap(0, 5 * PAGE, READ_WRITE, 2, (uint64_t)file, 0);
    CHECK(at > 0);
    uint8_t *bytes = (uint8_t *)at;
    CHECK_BYTES(bytes, content, sizeof(content));
    for (size_t i = sizeof(content); i < 3 * PAGE; i++) {
        CHECK_EQUAL(bytes[i], 0);
    }
    bytes[0] ^= 0xff; /* a copy: the file stays */
    uint8_t first = 0;
    CHECK_EQUAL(posix_pread64((uint64_t)file, TEXT(&first), 1, 0), 1);
    CHECK_EQUAL(first, content[0]);
    struct posix_region_info region;
    CHECK(posix_memory_find((uint64_t)at + 3 * PAGE, false, &region));
    CHECK_EQUAL(region.kind, POSIX_REGION_BEYOND_END);
    CHECK_EQUAL(shim_protection_at((uint64_t)at + 3 * PAGE), -1);
    CHECK_EQUAL(posix_madvise((uint64_t)at, PAGE, 4), 0); /* the file's bytes come back */
    CHECK_EQUAL(bytes[0], content[0]);
    CHECK_EQUAL(posix_mprotect((uint64_t)at, 5 * PAGE, 1), 0);
    CHECK_EQUAL(posix_munmap((uint64_t)at, 5 * PAGE), 0);
    int64_t second = posix_mmap(0, PAGE, 1, 2, (uint64_t)file, 2 * PAGE);
    CHECK_BYTES((uint8_t *)second, content + 2 * PAGE, sizeof(content) - 2 * PAGE);
    CHECK_EQUAL(posix_munmap((uint64_t)second, PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* @verifies ATL-LLR-MEMORY-0007~1 */
TEST(file_mappings_obey_how_the_file_was_opened)
{
    start();
    int64_t file = open_file("/data", 0);
    CHECK_EQUAL(posix_mmap(0, PAGE, READ_WRITE, 1, (uint64_t)file, 0), -EACCES);
    int64_t at = posix_mmap(0, PAGE, 1, 1, (uint64_t)file, 0);
    CHECK(at > 0);
    CHECK_EQUAL(posix_mprotect((uint64_t)at, PAGE, READ_WRITE), -EACCES);
    CHECK_EQUAL(posix_munmap((uint64_t)at, PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
    file = open_file("/new", 0102);
    CHECK_EQUAL(posix_write((uint64_t)file, TEXT("hello"), 5), 5);
    at = posix_mmap(0, PAGE, 1, 2, (uint64_t)file, 0); /* private: a copy */
    CHECK(at > 0);
    CHECK_BYTES((void *)at, "hello\0", 6);
    CHECK_EQUAL(shim_protection_at((uint64_t)at), 1);
    CHECK_EQUAL(posix_munmap((uint64_t)at, PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
    file = open_file("/new", 1);
    CHECK_EQUAL(posix_mmap(0, PAGE, 1, 2, (uint64_t)file, 0), -EACCES); /* not readable */
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
    file = open_file("/dev/zero", 2);
    at = posix_mmap(0, PAGE, READ_WRITE, 2, (uint64_t)file, 0);
    CHECK(at > 0);
    *(uint8_t *)at = 1;
    CHECK_EQUAL(posix_munmap((uint64_t)at, PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* @verifies ATL-LLR-FILE-0034~1 */
TEST(a_shared_mapping_is_the_file)
{
    char text[6] = {0};
    start();
    int64_t file = open_file("/shared", 0102);
    CHECK_EQUAL(posix_write((uint64_t)file, TEXT("hello"), 5), 5);
    CHECK_EQUAL(posix_pwrite64((uint64_t)file, TEXT("third"), 5, 2 * PAGE), 5);
    int64_t at = posix_mmap(0, 4 * PAGE, READ_WRITE, 1, (uint64_t)file, 0);
    CHECK(at > 0);
    char *memory = (char *)at;
    CHECK_BYTES(memory, "hello\0", 6);
    memory[0] = 'j';
    CHECK_EQUAL(posix_pread64((uint64_t)file, (uint64_t)text, 5, 0), 5);
    CHECK_BYTES(text, "jello", 5);
    CHECK_EQUAL(posix_pwrite64((uint64_t)file, TEXT("T"), 1, 2 * PAGE), 1);
    CHECK_BYTES(memory + 2 * PAGE, "Third", 5);
    CHECK_EQUAL(shim_protection_at((uint64_t)at + PAGE), -1); /* a hole: nothing yet */
    CHECK_EQUAL(posix_shared_fault((uint64_t)at + PAGE, 6), POSIX_SHARED_FAULT_RESOLVED);
    CHECK_EQUAL(posix_shared_fault((uint64_t)at + 3 * PAGE, 4), POSIX_SHARED_FAULT_BUS);
    CHECK_EQUAL(posix_shared_fault((uint64_t)at + 4 * PAGE, 4), POSIX_SHARED_FAULT_OTHER);
    memory[PAGE] = 'm';
    CHECK_EQUAL(posix_pread64((uint64_t)file, (uint64_t)text, 1, PAGE), 1);
    CHECK_EQUAL(text[0], 'm');
    CHECK_EQUAL(posix_mprotect((uint64_t)at, 4 * PAGE, 1), 0);
    CHECK_EQUAL(shim_protection_at((uint64_t)at), 1);
    CHECK_EQUAL(posix_pwrite64((uint64_t)file, TEXT("c"), 1, 0), 1);
    CHECK_BYTES(memory, "cello", 5);
    CHECK_EQUAL(shim_protection_at((uint64_t)at), 1); /* open for the write only */
    CHECK_EQUAL(posix_shared_fault((uint64_t)at + PAGE, 6), POSIX_SHARED_FAULT_OTHER);
    CHECK_EQUAL(posix_ftruncate((uint64_t)file, 3), 0);
    CHECK_EQUAL(shim_protection_at((uint64_t)at + PAGE), -1);
    CHECK_BYTES(memory, "cel\0\0", 5);
    CHECK_EQUAL(posix_ftruncate((uint64_t)file, 2 * PAGE), 0);
    CHECK_EQUAL(posix_munmap((uint64_t)at, 4 * PAGE), 0);
    CHECK_EQUAL(shim_protection_at((uint64_t)at), -1);
    CHECK(!posix_shared_exists());
    CHECK_EQUAL(posix_pread64((uint64_t)file, (uint64_t)text, 5, 0), 5);
    CHECK_BYTES(text, "cel\0\0", 5);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* @verifies ATL-LLR-FILE-0034~1 */
TEST(shared_mappings_of_one_page_lie_at_one_address)
{
    char text[2] = {0};
    start();
    int64_t file = open_file("/twice", 0102);
    CHECK_EQUAL(posix_ftruncate((uint64_t)file, 4 * PAGE), 0);
    CHECK_EQUAL(posix_pwrite64((uint64_t)file, TEXT("b"), 1, PAGE), 1);
    int64_t all = posix_mmap(0, 4 * PAGE, READ_WRITE, 1, (uint64_t)file, 0);
    int64_t part = posix_mmap(0, 2 * PAGE, 1, 1, (uint64_t)file, PAGE);
    CHECK_EQUAL(part, all + (int64_t)PAGE);
    /* fixed elsewhere, and more than is mapped: both would need a frame at two addresses */
    CHECK_EQUAL(posix_mmap((uint64_t)all + 16 * PAGE, PAGE, 1, 0x11, (uint64_t)file, 0), -ENODEV);
    CHECK_EQUAL(posix_mmap(0, 8 * PAGE, 1, 1, (uint64_t)file, 0), -ENODEV);
    CHECK_EQUAL(posix_munmap((uint64_t)all, 4 * PAGE), 0);
    CHECK_EQUAL(shim_protection_at((uint64_t)all + PAGE), 3); /* the other still has it */
    *(char *)(all + (int64_t)PAGE) = 'c';
    CHECK_EQUAL(posix_pread64((uint64_t)file, (uint64_t)text, 1, PAGE), 1);
    CHECK_EQUAL(text[0], 'c');
    CHECK_EQUAL(posix_munmap((uint64_t)part, PAGE), 0);
    CHECK_EQUAL(shim_protection_at((uint64_t)part), -1);
    CHECK(posix_shared_exists());
    CHECK_EQUAL(posix_munmap((uint64_t)part + PAGE, PAGE), 0);
    CHECK(!posix_shared_exists());
    /* a fixed mapping ends all of them */
    all = posix_mmap(0, 4 * PAGE, READ_WRITE, 1, (uint64_t)file, 0);
    part = posix_mmap(0, 4 * PAGE, READ_WRITE, 1, (uint64_t)file, 0);
    CHECK_EQUAL(part, all);
    CHECK_EQUAL(posix_mmap((uint64_t)all, 4 * PAGE, READ_WRITE, 0x32, UINT64_MAX, 0), all);
    CHECK(!posix_shared_exists());
    CHECK_EQUAL(*(char *)(all + (int64_t)PAGE), 0);
    CHECK_EQUAL(posix_munmap((uint64_t)all, 4 * PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* @verifies ATL-LLR-FILE-0042~1 */
TEST(file_pages_come_zeroed_and_go_back_to_the_kernel)
{
    static uint8_t *pages[300];
    start();
    for (int i = 0; i < 300; i++) {
        pages[i] = posix_page_allocate();
        CHECK(pages[i] != NULL && (uintptr_t)pages[i] % PAGE == 0);
        CHECK(pages[i][0] == 0 && pages[i][PAGE - 1] == 0);
        memset(pages[i], 0xff, PAGE);
    }
    for (int i = 0; i < 300; i++) {
        for (int k = 0; k < i; k++) {
            CHECK(pages[i] != pages[k]);
        }
    }
    for (int i = 299; i >= 0; i--) {
        posix_page_free(pages[i]);
    }
    int mapped = 0;
    for (int i = 0; i < 300; i++) {
        mapped += shim_protection_at((uintptr_t)pages[i]) >= 0;
    }
    CHECK(mapped <= 2 * 63); /* one chunk stays, and one that files of other tests keep */
    pages[0] = posix_page_allocate();
    CHECK(pages[0][0] == 0 && pages[0][PAGE - 1] == 0);
    posix_page_free(pages[0]);
}

/* @verifies ATL-LLR-FILE-0042~1 @robust */
TEST(file_pages_leave_memory_to_the_program)
{
    static uint8_t *pages[200];
    int count = 0;
    start();
    shim_free_frames = 2048; /* of two cores; a sixteenth of 256 MiB is 4096 pages */
    int available = (int)posix_page_available(); /* in chunks that are there */
    CHECK(available <= 2 * 63);
    while (count < 200 && (pages[count] = posix_page_allocate()) != NULL) {
        count++;
    }
    CHECK_EQUAL(count, available);
    shim_free_frames = 30000;
    while (count != 0) {
        posix_page_free(pages[--count]);
    }
    CHECK(posix_page_allocate() != NULL);
}

/* @verifies ATL-LLR-FILE-0034~1 @robust */
TEST(a_shared_mapping_without_memory_leaves_the_file_as_it_was)
{
    char text[2] = {0};
    start();
    int64_t file = open_file("/short", 0102);
    for (uint64_t page = 0; page < 6; page += 2) {
        CHECK_EQUAL(posix_pwrite64((uint64_t)file, TEXT("x"), 1, page * PAGE), 1);
    }
    int64_t at = -ENOMEM;
    uint64_t failures = 0;
    while (at == -ENOMEM && failures < 20) {
        shim_fail_map = ++failures;
        at = posix_mmap(0, 6 * PAGE, READ_WRITE, 1, (uint64_t)file, 0);
        CHECK_EQUAL(at == -ENOMEM, shim_fail_map == 0);
        CHECK_EQUAL(posix_shared_exists(), at > 0);
        CHECK_EQUAL(posix_pread64((uint64_t)file, (uint64_t)text, 1, 4 * PAGE), 1);
        CHECK_EQUAL(text[0], 'x');
    }
    shim_fail_map = 0;
    CHECK(failures > 2 && at > 0);
    shim_fail_map = 1;
    CHECK_EQUAL(posix_shared_fault((uint64_t)at + PAGE, 6), POSIX_SHARED_FAULT_BUS);
    CHECK_EQUAL(posix_munmap((uint64_t)at, 6 * PAGE), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* @verifies ATL-LLR-MEMORY-0008~1 */
TEST(brk_grows_shrinks_and_forgets)
{
    start();
    int64_t base = posix_brk(0);
    CHECK(base >= 0x500000 && base < 0x500000 + (33 << 20));
    CHECK_EQUAL(posix_brk((uint64_t)base + 100), base + 100);
    *(uint8_t *)base = 7;
    uint64_t calls = shim_gate_calls;
    CHECK_EQUAL(posix_brk((uint64_t)base + 3 * PAGE), base + 3 * (int64_t)PAGE);
    CHECK_EQUAL(shim_gate_calls, calls); /* mapped ahead */
    ((uint8_t *)base)[2 * PAGE] = 9;
    CHECK_EQUAL(posix_brk((uint64_t)base + PAGE), base + (int64_t)PAGE);
    CHECK_EQUAL(shim_protection_at((uint64_t)base + PAGE), -1);
    CHECK_EQUAL(posix_brk((uint64_t)base + 3 * PAGE), base + 3 * (int64_t)PAGE);
    CHECK_EQUAL(((uint8_t *)base)[2 * PAGE], 0);
    CHECK_EQUAL(((uint8_t *)base)[0], 7);
    CHECK_EQUAL(posix_brk((uint64_t)base - 1), base + 3 * (int64_t)PAGE);
    CHECK_EQUAL(posix_brk(1ull << 46), base + 3 * (int64_t)PAGE);
    CHECK_EQUAL(posix_brk((uint64_t)base + (16 << 20)), base + (16 << 20));
    shim_fail_map = 1;
    CHECK_EQUAL(posix_brk((uint64_t)base + (64 << 20)), base + (64 << 20)); /* exactly, not ahead */
    shim_fail_map = 0;
    CHECK_EQUAL(posix_brk((uint64_t)base), base);
}

/* @verifies ATL-LLR-MEMORY-0015~1 */
TEST(madvise_forgets_or_checks)
{
    start();
    uint64_t at = (uint64_t)map(0, 4 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    memset((void *)at, 5, 4 * PAGE);
    CHECK_EQUAL(posix_madvise(at + PAGE, PAGE, 4), 0);
    CHECK_EQUAL(((uint8_t *)at)[PAGE], 0);
    CHECK_EQUAL(((uint8_t *)at)[0], 5);
    CHECK_EQUAL(posix_madvise(at, 4 * PAGE, 8), 0);
    static const uint8_t fine[] = {0, 1, 2, 3, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21};
    for (size_t i = 0; i < sizeof(fine); i++) {
        CHECK_EQUAL(posix_madvise(at, 4 * PAGE, fine[i]), 0);
    }
    CHECK_EQUAL(posix_madvise(at, 0, 4), 0);
    CHECK_EQUAL(posix_madvise(at + 1, PAGE, 4), -EINVAL);
    CHECK_EQUAL(posix_madvise(at, PAGE, 99), -EINVAL);
    CHECK_EQUAL(posix_madvise(at, PAGE, 9), -EINVAL);
    CHECK_EQUAL(posix_munmap(at + PAGE, PAGE), 0);
    ((uint8_t *)at)[3 * PAGE] = 5;
    CHECK_EQUAL(posix_madvise(at, 4 * PAGE, 4), -ENOMEM); /* the hole is told, the rest is done */
    CHECK_EQUAL(((uint8_t *)at)[3 * PAGE], 0);
    CHECK_EQUAL(posix_munmap(at, 4 * PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0016~1 */
TEST(mincore_msync_and_mlock_check_the_range)
{
    start();
    uint64_t at = (uint64_t)map(0, 4 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS);
    uint8_t vector[5] = {9, 9, 9, 9, 9};
    CHECK_EQUAL(posix_mincore(at, 4 * PAGE - 1, TEXT(vector)), 0);
    CHECK_BYTES(vector, "\1\1\1\1\11", 5);
    CHECK_EQUAL(posix_mincore(at + 1, PAGE, TEXT(vector)), -EINVAL);
    CHECK_EQUAL(posix_mincore(at, 4 * PAGE, 8), -EFAULT);
    CHECK_EQUAL(posix_msync(at, 4 * PAGE, 4), 0);
    CHECK_EQUAL(posix_msync(at, 4 * PAGE, 5), -EINVAL);
    CHECK_EQUAL(posix_msync(at, 4 * PAGE, 8), -EINVAL);
    CHECK_EQUAL(posix_mlock(at + 5, 100), 0);
    CHECK_EQUAL(posix_munlock(at, 4 * PAGE), 0);
    CHECK_EQUAL(posix_munmap(at + 2 * PAGE, PAGE), 0);
    CHECK_EQUAL(posix_mincore(at, 4 * PAGE, TEXT(vector)), -ENOMEM);
    CHECK_EQUAL(posix_msync(at, 4 * PAGE, 4), -ENOMEM);
    CHECK_EQUAL(posix_mlock(at, 4 * PAGE), -ENOMEM);
    CHECK_EQUAL(posix_munmap(at, 4 * PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0017~1 */
TEST(mremap_grows_in_place_shrinks_and_moves)
{
    start();
    uint64_t at = 37 * GATE_SLOT_BYTES + (1ull << 30);
    CHECK_EQUAL(map(at, 2 * PAGE, READ_WRITE, PRIVATE_ANONYMOUS), at);
    memset((void *)at, 6, 2 * PAGE);
    CHECK_EQUAL(posix_mremap(at, 2 * PAGE, 4 * PAGE, 0, 0), at);
    CHECK_EQUAL(((uint8_t *)at)[3 * PAGE], 0);
    CHECK_EQUAL(map(at + 4 * PAGE, PAGE, 1, PRIVATE_ANONYMOUS | NO_REPLACE), at + 4 * PAGE);
    CHECK_EQUAL(posix_mremap(at, 4 * PAGE, 8 * PAGE, 0, 0), -ENOMEM);
    int64_t moved = posix_mremap(at, 4 * PAGE, 8 * PAGE, 1, 0);
    CHECK(moved > 0 && (uint64_t)moved != at);
    CHECK_EQUAL(((uint8_t *)moved)[2 * PAGE - 1], 6);
    CHECK_EQUAL(((uint8_t *)moved)[7 * PAGE], 0);
    CHECK_EQUAL(shim_protection_at(at), -1);
    CHECK_EQUAL(posix_mremap((uint64_t)moved, 8 * PAGE, PAGE, 0, 0), moved);
    CHECK_EQUAL(shim_protection_at((uint64_t)moved + PAGE), -1);
    uint64_t target = 38 * GATE_SLOT_BYTES + (1ull << 30);
    CHECK_EQUAL(posix_mremap((uint64_t)moved, PAGE, 2 * PAGE, 3, target), target);
    CHECK_EQUAL(((uint8_t *)target)[5], 6);
    CHECK_EQUAL(posix_mprotect(target, 2 * PAGE, 0), 0); /* unreadable memory moves, too */
    moved = posix_mremap(target, 2 * PAGE, 3 * PAGE, 3, target + 64 * PAGE);
    CHECK_EQUAL(moved, target + 64 * PAGE);
    CHECK_EQUAL(shim_protection_at((uint64_t)moved), 0);
    CHECK_EQUAL(posix_mprotect((uint64_t)moved, PAGE, 1), 0);
    CHECK_EQUAL(((uint8_t *)moved)[5], 6);
    CHECK_EQUAL(posix_mremap(at, PAGE, 2 * PAGE, 1, 0), -EFAULT);
    CHECK_EQUAL(posix_mremap(at + 1, PAGE, 2 * PAGE, 1, 0), -EINVAL);
    CHECK_EQUAL(posix_mremap(at, PAGE, 0, 1, 0), -EINVAL);
    CHECK_EQUAL(posix_mremap(at, PAGE, PAGE, 2, target), -EINVAL);
    CHECK_EQUAL(posix_mremap((uint64_t)moved, PAGE, PAGE, 3, (uint64_t)moved), -EINVAL);
    CHECK_EQUAL(posix_munmap((uint64_t)moved, 3 * PAGE), 0);
    CHECK_EQUAL(posix_munmap(at + 4 * PAGE, PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0009~1 */
TEST(regions_are_limited_and_munmap_still_works)
{
    start();
    uint64_t at = 41 * GATE_SLOT_BYTES + (1ull << 30);
    uint64_t made = 0;
    int64_t result = 0;
    CHECK_EQUAL(map(at, 140000 * PAGE, 0, PRIVATE_ANONYMOUS), at);
    while (made < 70000 && result == 0) { /* every second page gets another protection */
        result = posix_mprotect(at + 2 * made * PAGE, PAGE, 1);
        made += result == 0 ? 1 : 0;
    }
    CHECK_EQUAL(result, -ENOMEM);
    CHECK(made > 32000 && made < 33000); /* the build machine's limit is about the same */
    CHECK_EQUAL(posix_munmap(at, 140000 * PAGE), 0);
    CHECK_EQUAL(map(at, PAGE, READ_WRITE, PRIVATE_ANONYMOUS | NO_REPLACE), at);
    CHECK_EQUAL(posix_munmap(at, PAGE), 0);
}

/* @verifies ATL-LLR-MEMORY-0012~1 */
/* @verifies ATL-LLR-MEMORY-0013~1 */
TEST(heap_gives_aligned_zeroed_blocks_that_do_not_overlap)
{
    start();
    enum { COUNT = 600 };
    static uint8_t *blocks[COUNT];
    static size_t sizes[COUNT];
    for (uint32_t i = 0; i < 60000; i++) {
        uint32_t at = next_random(COUNT);
        shim_core = next_random(2);
        if (blocks[at] != NULL) {
            for (size_t byte = 0; byte < sizes[at]; byte += 97) {
                CHECK_EQUAL(blocks[at][byte], (uint8_t)at);
            }
            posix_free(blocks[at]);
            blocks[at] = NULL;
            continue;
        }
        static const uint32_t scales[] = {40, 300, 5000, 40000};
        sizes[at] = next_random(scales[next_random(i % 50 == 0 ? 4 : 3)]);
        blocks[at] = posix_allocate(sizes[at]);
        CHECK(blocks[at] != NULL);
        CHECK_EQUAL((uintptr_t)blocks[at] % 16, 0);
        CHECK_EQUAL((uintptr_t)blocks[at] / GATE_SLOT_BYTES % 2, shim_core);
        for (size_t byte = 0; byte < sizes[at]; byte++) {
            CHECK_EQUAL(blocks[at][byte], 0);
        }
        memset(blocks[at], (int)at, sizes[at]);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        posix_free(blocks[i]);
    }
    shim_core = 0;
}

/* @verifies ATL-LLR-MEMORY-0012~1 */
TEST(heap_reports_exhaustion)
{
    start();
    shim_fail_map = 1;
    CHECK(posix_allocate(1 << 20) == NULL);
    shim_fail_map = 0;
    CHECK(posix_allocate(1ull << 50) == NULL);
    void *memory = posix_allocate(1 << 20);
    CHECK(memory != NULL);
    posix_free(memory);
    CHECK_EQUAL(shim_protection_at((uintptr_t)memory & ~4095ull), -1);
    posix_free(NULL);
}

/* @verifies ATL-LLR-MEMORY-0013~1 */
TEST(heap_finds_a_double_free)
{
    start();
    void *memory = posix_allocate(100);
    posix_free(memory);
    CHECK_ABORTS(posix_free(memory));
    static uint64_t other[8];
    CHECK_ABORTS(posix_free(&other[4]));
}

/* @verifies ATL-LLR-MEMORY-0014~1 */
TEST(stacks_are_aligned_guarded_and_used_again)
{
    start();
    enum { COUNT = 100 };
    void *stacks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        stacks[i] = posix_stack_allocate(1);
        CHECK(stacks[i] != NULL);
        CHECK_EQUAL((uintptr_t)stacks[i] % POSIX_STACK_BYTES, 0);
        CHECK_EQUAL((uintptr_t)stacks[i] / GATE_SLOT_BYTES % 2, 1);
        CHECK_EQUAL(shim_protection_at((uintptr_t)stacks[i] - 1), -1);
        CHECK_EQUAL(shim_protection_at((uintptr_t)stacks[i] + POSIX_STACK_BYTES), -1);
        memset(stacks[i], i, POSIX_STACK_BYTES);
    }
    uint64_t calls = shim_gate_calls;
    posix_stack_free(stacks[0]);
    CHECK(posix_stack_allocate(1) == stacks[0]);
    CHECK_EQUAL(shim_gate_calls, calls); /* kept, not mapped again */
    for (int i = 0; i < COUNT; i++) {
        posix_stack_free(stacks[i]);
    }
    int mapped = 0;
    for (int i = 0; i < COUNT; i++) {
        mapped += shim_protection_at((uintptr_t)stacks[i]) == READ_WRITE ? 1 : 0;
    }
    CHECK_EQUAL(mapped, 32);
    for (int i = 0; i < COUNT; i++) {
        stacks[i] = posix_stack_allocate(1);
        CHECK_EQUAL(shim_protection_at((uintptr_t)stacks[i]), READ_WRITE);
    }
}

/* @verifies ATL-LLR-MEMORY-0020~1 */
TEST(reserved_addresses_cost_no_gate_call_until_a_part_gets_rights)
{
    start();
    uint64_t calls = shim_gate_calls;
    uint64_t first = (uint64_t)map(0, 64 * PAGE, 0, PRIVATE_ANONYMOUS);
    CHECK_EQUAL(posix_madvise(first, 64 * PAGE, 4), 0);
    CHECK_EQUAL(shim_gate_calls - calls, 0);
    CHECK_EQUAL(shim_protection_at(first), -1);
    CHECK_EQUAL(posix_mprotect(first + PAGE, 62 * PAGE, READ_WRITE), 0);
    CHECK_EQUAL(shim_gate_calls - calls, 1);
    *(volatile uint64_t *)(first + PAGE) = 7; // NOLINT: an address
    CHECK_EQUAL(posix_mprotect(first, 64 * PAGE, READ_WRITE), 0);
    CHECK_EQUAL(*(volatile uint64_t *)first, 0);
    CHECK_EQUAL(*(volatile uint64_t *)(first + PAGE), 7);
    CHECK_EQUAL(posix_mprotect(first, 64 * PAGE, 0), 0);
    CHECK_EQUAL(posix_mprotect(first, 64 * PAGE, 1), 0);
    CHECK_EQUAL(*(volatile uint64_t *)(first + PAGE), 7);
    CHECK_EQUAL(posix_munmap(first, 64 * PAGE), 0);
    CHECK_EQUAL(shim_protection_at(first + PAGE), -1);
}

/* @verifies ATL-LLR-MEMORY-0021~1 */
TEST(a_reservation_may_be_larger_than_a_slot)
{
    start();
    uint64_t bytes = 2 * GATE_SLOT_BYTES + PAGE;
    CHECK_EQUAL(map(0, bytes, READ_WRITE, PRIVATE_ANONYMOUS), -ENOMEM);
    uint64_t first = (uint64_t)map(0, bytes, 0, PRIVATE_ANONYMOUS);
    uint64_t second = (uint64_t)map(0, bytes, 0, PRIVATE_ANONYMOUS);
    CHECK(first % GATE_SLOT_BYTES == 0 && second >= first + bytes);
    for (uint64_t at = first; at < first + bytes; at += GATE_SLOT_BYTES) {
        struct posix_region_info region;
        CHECK(posix_memory_find(at, false, &region));
        CHECK_EQUAL(region.start, at);
    }
    uint64_t edge = first + GATE_SLOT_BYTES - PAGE;
    CHECK_EQUAL(posix_mprotect(edge, 2 * PAGE, READ_WRITE), 0);
    CHECK_EQUAL(shim_protection_at(edge), READ_WRITE);
    CHECK_EQUAL(shim_protection_at(edge + PAGE), READ_WRITE);
    CHECK_EQUAL(posix_munmap(first, bytes), 0);
    CHECK_EQUAL(shim_protection_at(edge), -1);
    CHECK_EQUAL(map(0, bytes, 0, PRIVATE_ANONYMOUS), first);
    CHECK_EQUAL(posix_munmap(first, bytes), 0);
    CHECK_EQUAL(posix_munmap(second, bytes), 0);
}

/* @verifies ATL-LLR-MEMORY-0002~1 */
TEST(places_never_overlap_and_holes_are_filled_first)
{
    start();
    enum { COUNT = 200 };
    static uint64_t places[COUNT];
    static uint64_t sizes[COUNT];
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t at = next_random(COUNT);
        if (places[at] != 0) {
            CHECK_EQUAL(posix_munmap(places[at], sizes[at]), 0);
            places[at] = 0;
            continue;
        }
        sizes[at] = (1 + next_random(8)) * PAGE;
        int64_t place = map(0, sizes[at], next_random(2) ? 1 : READ_WRITE, PRIVATE_ANONYMOUS);
        CHECK(place > 0); /* the build machine refuses what is mapped already */
        places[at] = (uint64_t)place;
        lowest = places[at] < lowest ? places[at] : lowest;
        highest = places[at] > highest ? places[at] : highest;
    }
    CHECK(highest - lowest < 2 * COUNT * 8 * PAGE);
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK_EQUAL(places[i] != 0 ? posix_munmap(places[i], sizes[i]) : 0, 0);
    }
}

CHECK_MAIN()
