/* SPDX-License-Identifier: Apache-2.0 */
/* map, unmap, protect and faults on one core against a model: an array with what each page should
 * be. Ranges are random but gather at the edges of large pages; nothing may leak. */
#include "machine.h"

#include "check.h"

#include <percpu/scheduler.h>

#define PARTITION_BYTES (64ull << 20)
#define OPERATIONS 100000u
#define WINDOW_BASE 0x40000000ull /* 1 GiB */
#define WINDOW_PAGES (3u << 18)   /* 3 GiB */

enum model_kind { MODEL_EMPTY, MODEL_ZERO, MODEL_IMAGE };

struct model_page {
    uint8_t kind, rights;
    uint16_t image_page;
    uint32_t value; /* last word written; 0: none */
};

static struct model_page model[WINDOW_PAGES];
static struct thread *caller;
static uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % limit;
}

static void begin(uint64_t seed)
{
    machine_create(1, PARTITION_BYTES);
    host_enter(&(struct host_config){.core_count = 1,
                                     .thread_count = 4,
                                     .add_frames = true,
                                     .memory_start = MACHINE_START,
                                     .partition_bytes = PARTITION_BYTES});
    machine_core_start();
    CHECK_EQUAL(percpu_thread_allocate(&caller), RESULT_OK);
    caller->cell = &machine_cell;
    percpu_thread_ready(caller);
    CHECK(percpu_schedule() == caller);
    memset(model, 0, sizeof(model));
    random_state = seed;
}

static void end(void)
{
    host_leave();
    machine_destroy();
}

/* A call as the gate makes it: repeated while its operation gives way. */
static enum result call(const struct space_request *request)
{
    for (unsigned n = 0; n < 10000; n++) {
        enum result result = machine_request(caller, request);
        if (result != SPACE_PENDING) {
            return result;
        }
        CHECK_EQUAL(caller->state, THREAD_READY);
        CHECK_EQUAL(caller->resume, RESUME_RESTART);
        CHECK(percpu_schedule() == caller);
        caller->resume = RESUME_GATE;
    }
    CHECK(false);
    return RESULT_INVALID;
}

static struct space_range range_of(uint64_t first, uint64_t count)
{
    return (struct space_range){WINDOW_BASE + first * PAGE_BYTES, count * PAGE_BYTES};
}

/* Page numbers gather at the boundaries of 2 MiB and 1 GiB. */
static uint64_t random_page(void)
{
    static const uint64_t edges[] = {
        0, 512, 1024, 3 * 512, 1 << 18, (1 << 18) + 512, 1 << 19, (1 << 19) + 2048};
    uint64_t edge = edges[random_below(8)];
    uint64_t page = edge + random_below(48);
    page = page >= 24 ? page - 24 : page;
    return random_below(40) == 0 ? random_below(WINDOW_PAGES) : page;
}

static uint64_t random_count(uint64_t first)
{
    uint64_t count = 1 + random_below(24);
    switch (random_below(300)) {
    case 0:
        count = 1 + random_below(WINDOW_PAGES);
        break;
    case 1 ... 30:
        count = 1 + random_below(1200);
        break;
    default:
        break;
    }
    return MIN(count, WINDOW_PAGES - first);
}

static bool model_is_empty(uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (model[i].kind != MODEL_EMPTY) {
            return false;
        }
    }
    return true;
}

static uint32_t random_rights(void)
{
    static const uint32_t rights[] = {0,
                                      GATE_READ,
                                      GATE_READ | GATE_WRITE,
                                      GATE_WRITE,
                                      GATE_READ | GATE_EXECUTE,
                                      GATE_READ | GATE_WRITE};
    return rights[random_below(6)];
}

static void do_map(uint64_t first, uint64_t count)
{
    struct space_request request = {PERCPU_MESSAGE_MAP, range_of(first, count), random_rights(), 0,
                                    0};
    uint64_t image_first = 0;
    if (random_below(4) == 0) {
        count = MIN(count, MACHINE_IMAGE_PAGES);
        image_first = random_below(MACHINE_IMAGE_PAGES - count + 1);
        request.range.bytes = count * PAGE_BYTES;
        request.offset = image_first * PAGE_BYTES;
        request.flags = GATE_MAP_IMAGE;
    } else if (count <= 300 && random_below(4) == 0) {
        request.flags = GATE_MAP_POPULATE;
    } else if (random_below(4) == 0) {
        request.flags = GATE_MAP_LAST;
    }
    bool was_empty = model_is_empty(first, count);
    enum result result = call(&request);
    CHECK_EQUAL(result, was_empty ? RESULT_OK : RESULT_EXISTS);
    if (result != RESULT_OK) {
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        model[first + i] =
            (struct model_page){.kind = request.flags == GATE_MAP_IMAGE ? MODEL_IMAGE : MODEL_ZERO,
                                .rights = (uint8_t)entry_rights_effective(request.protection),
                                .image_page = (uint16_t)(image_first + i)};
    }
}

static void do_unmap(uint64_t first, uint64_t count)
{
    struct space_request request = {PERCPU_MESSAGE_UNMAP, range_of(first, count), 0, 0, 0};
    request.flags = random_below(3) == 0 ? GATE_UNMAP_DISCARD : 0;
    CHECK_EQUAL(call(&request), RESULT_OK);
    for (uint64_t i = first; i < first + count; i++) {
        bool stays = request.flags != 0 && model[i].kind != MODEL_EMPTY;
        model[i] = (struct model_page){.kind = stays ? MODEL_ZERO : MODEL_EMPTY,
                                       .rights = stays ? model[i].rights : 0};
    }
}

static void do_protect(uint64_t first, uint64_t count)
{
    struct space_request request = {PERCPU_MESSAGE_PROTECT, range_of(first, count), random_rights(),
                                    0, 0};
    CHECK_EQUAL(call(&request), RESULT_OK);
    for (uint64_t i = first; i < first + count; i++) {
        bool is_there = model[i].kind != MODEL_EMPTY;
        model[i].rights = is_there ? (uint8_t)entry_rights_effective(request.protection) : 0;
    }
}

static bool model_allows(const struct model_page *page, enum space_access access)
{
    return page->kind != MODEL_EMPTY && (page->rights & access) != 0;
}

/* Word 0 is the image's or zero, word 1 what was written last. */
static void check_contents(const struct model_page *page, const uint64_t *words)
{
    CHECK_EQUAL(words[0], page->kind == MODEL_IMAGE ? machine_image_tag(page->image_page) : 0);
    CHECK_EQUAL(words[1], page->value);
    CHECK_EQUAL(words[511], 0);
}

static void do_access(uint64_t page)
{
    enum space_access access = (enum space_access)(1u << random_below(3));
    uint64_t address = WINDOW_BASE + page * PAGE_BYTES;
    uint64_t *words = machine_access(address, access);
    for (unsigned n = 0; words == NULL && n < 4; n++) {
        enum result result = isolation_space_fault(caller, address, access);
        if (!model_allows(&model[page], access)) {
            CHECK_EQUAL(result, RESULT_FAULT);
            return;
        }
        CHECK_EQUAL(result, RESULT_OK);
        words = machine_access(address, access);
    }
    CHECK(words != NULL);
    CHECK(model_allows(&model[page], access));
    check_contents(&model[page], words);
    if (access == SPACE_ACCESS_WRITE) {
        words[1] = model[page].value = (uint32_t)random_below(UINT32_MAX);
    }
}

static void do_any(void)
{
    uint64_t first = random_page();
    uint64_t count = random_count(first);
    if (machine_free_frames() < 2048) { /* the model knows no lack of memory */
        first = 0;
        count = WINDOW_PAGES;
        struct space_request all = {PERCPU_MESSAGE_UNMAP, range_of(first, count), 0, 0, 0};
        CHECK_EQUAL(call(&all), RESULT_OK);
        memset(model, 0, sizeof(model));
        return;
    }
    switch (random_below(10)) {
    case 0 ... 1:
        do_map(first, count);
        break;
    case 2:
        do_unmap(first, count);
        break;
    case 3 ... 4:
        do_protect(first, count);
        break;
    default:
        do_access(first);
        break;
    }
}

/* @verifies ATL-LLR-ISOL-0001~1
 * @verifies ATL-LLR-ISOL-0002~1
 * @verifies ATL-LLR-ISOL-0003~1
 * @verifies ATL-LLR-ISOL-0004~1
 * @verifies ATL-LLR-ISOL-0005~1
 * @verifies ATL-LLR-ISOL-0006~2
 * @verifies ATL-LLR-ISOL-0007~1
 * @verifies ATL-LLR-ISOL-0009~1 */
TEST(random_operations_match_the_model_and_nothing_leaks)
{
    begin(20240901);
    uint64_t free_before = machine_free_frames();
    for (unsigned n = 0; n < OPERATIONS; n++) {
        do_any();
    }
    struct space_request all = {PERCPU_MESSAGE_UNMAP, range_of(0, WINDOW_PAGES), 0, 0, 0};
    CHECK_EQUAL(call(&all), RESULT_OK);
    CHECK_EQUAL(machine_free_frames(), free_before);
    end();
}

/* @verifies ATL-LLR-ISOL-0001~1 */
TEST(a_whole_slot_without_rights_takes_no_frame)
{
    begin(1);
    uint64_t free_before = machine_free_frames();
    struct space_range slot = {GATE_SLOT_BYTES, GATE_SLOT_BYTES};
    CHECK_EQUAL(call(&(struct space_request){PERCPU_MESSAGE_MAP, slot, 0, 0, 0}), RESULT_OK);
    CHECK_EQUAL(machine_free_frames(), free_before);
    CHECK_EQUAL(
        call(&(struct space_request){PERCPU_MESSAGE_MAP, {slot.address, PAGE_BYTES}, 0, 0, 0}),
        RESULT_EXISTS);
    CHECK_EQUAL(isolation_space_fault(caller, slot.address, SPACE_ACCESS_READ), RESULT_FAULT);
    struct space_range middle = {slot.address + 7 * PAGE_BYTES, PAGE_BYTES};
    CHECK_EQUAL(call(&(struct space_request){PERCPU_MESSAGE_UNMAP, middle, 0, 0, 0}), RESULT_OK);
    CHECK_EQUAL(machine_free_frames(), free_before - 2);
    CHECK_EQUAL(call(&(struct space_request){PERCPU_MESSAGE_UNMAP, slot, 0, 0, 0}), RESULT_OK);
    CHECK_EQUAL(machine_free_frames(), free_before);
    end();
}

/* @verifies ATL-LLR-ISOL-0004~1 */
TEST(a_populated_map_without_memory_changes_nothing)
{
    begin(2);
    uint64_t free_before = machine_free_frames();
    struct space_request request = {PERCPU_MESSAGE_MAP,
                                    {WINDOW_BASE + PAGE_BYTES, 2 * PARTITION_BYTES},
                                    GATE_READ | GATE_WRITE,
                                    GATE_MAP_POPULATE,
                                    0};
    CHECK_EQUAL(call(&request), RESULT_NO_MEMORY);
    CHECK_EQUAL(machine_free_frames(), free_before);
    CHECK_EQUAL(isolation_space_fault(caller, WINDOW_BASE + PAGE_BYTES, SPACE_ACCESS_READ),
                RESULT_FAULT);
    end();
}

/* @verifies ATL-LLR-ISOL-1340~1 */
TEST(a_map_with_its_last_page_makes_no_other_present)
{
    begin(2);
    const uint64_t pages = 33;
    uint64_t last = WINDOW_BASE + (pages - 1) * PAGE_BYTES;
    struct space_request request = {PERCPU_MESSAGE_MAP, range_of(0, pages), GATE_READ | GATE_WRITE,
                                    GATE_MAP_LAST, 0};
    struct space_request lazy = request;
    uint64_t free_before = machine_free_frames();
    lazy.flags = 0;
    CHECK_EQUAL(call(&lazy), RESULT_OK);
    uint64_t tables = free_before - machine_free_frames();
    CHECK(machine_access(last, SPACE_ACCESS_WRITE) == NULL);
    request.kind = PERCPU_MESSAGE_UNMAP;
    request.flags = 0;
    CHECK_EQUAL(call(&request), RESULT_OK);
    request.kind = PERCPU_MESSAGE_MAP;
    request.flags = GATE_MAP_LAST;
    CHECK_EQUAL(call(&request), RESULT_OK);
    CHECK_EQUAL(free_before - machine_free_frames(), tables + 1);
    uint64_t *words = machine_access(last, SPACE_ACCESS_WRITE);
    CHECK(words != NULL && words[0] == 0 && words[511] == 0);
    CHECK(machine_access(last - PAGE_BYTES, SPACE_ACCESS_WRITE) == NULL);
    CHECK(machine_access(WINDOW_BASE, SPACE_ACCESS_WRITE) == NULL);
    request.kind = PERCPU_MESSAGE_UNMAP;
    request.flags = 0;
    CHECK_EQUAL(call(&request), RESULT_OK);
    CHECK_EQUAL(machine_free_frames(), free_before);
    end();
}

/* The tables are there, the frame is not: nothing stays mapped.
 * @verifies ATL-LLR-ISOL-1340~1 */
TEST(a_map_without_memory_for_its_last_page_maps_nothing)
{
    begin(2);
    struct space_request beside = {PERCPU_MESSAGE_MAP, range_of(40, 1), GATE_READ, 0, 0};
    CHECK_EQUAL(call(&beside), RESULT_OK);
    paddr_t taken[PARTITION_BYTES / PAGE_BYTES];
    uint64_t count = 0;
    while (machine_free_frames() > 0) {
        CHECK_EQUAL(percpu_frame_allocate(&taken[count++]), RESULT_OK);
    }
    struct space_request request = {PERCPU_MESSAGE_MAP, range_of(0, 33), GATE_READ | GATE_WRITE,
                                    GATE_MAP_LAST, 0};
    CHECK_EQUAL(call(&request), RESULT_NO_MEMORY);
    CHECK_EQUAL(isolation_space_fault(caller, WINDOW_BASE, SPACE_ACCESS_READ), RESULT_FAULT);
    request.flags = 0;
    CHECK_EQUAL(call(&request), RESULT_OK); /* nothing is there, and no frame is needed */
    for (uint64_t i = 0; i < count; i++) {
        percpu_frame_free(taken[i]);
    }
    end();
}

/* Every allocation of a sequence fails once: the result says so and nothing leaks.
 * @verifies ATL-LLR-ISOL-0001~1 */
TEST(each_lack_of_a_frame_leaves_everything_as_it_was)
{
    for (uint64_t left = 0; left < 12; left++) {
        begin(3);
        paddr_t taken[PARTITION_BYTES / PAGE_BYTES];
        uint64_t count = 0;
        uint64_t free_before = machine_free_frames();
        while (machine_free_frames() > left) {
            CHECK_EQUAL(percpu_frame_allocate(&taken[count++]), RESULT_OK);
        }
        struct space_range range = {WINDOW_BASE + 5 * PAGE_BYTES, HUGE_PAGE_BYTES};
        struct space_request request = {PERCPU_MESSAGE_MAP, range, GATE_READ, 0, 0};
        enum result mapped = call(&request);
        CHECK_EQUAL(mapped, left < 4 ? RESULT_NO_MEMORY : RESULT_OK);
        if (mapped != RESULT_OK) {
            CHECK_EQUAL(machine_free_frames(), left);
        }
        enum result fault = isolation_space_fault(caller, range.address, SPACE_ACCESS_READ);
        CHECK_EQUAL(fault, left < 4 ? RESULT_FAULT : left < 5 ? RESULT_NO_MEMORY : RESULT_OK);
        request.kind = PERCPU_MESSAGE_UNMAP;
        CHECK_EQUAL(call(&request), RESULT_OK);
        for (uint64_t i = 0; i < count; i++) {
            percpu_frame_free(taken[i]);
        }
        CHECK_EQUAL(machine_free_frames(), free_before);
        end();
    }
}

/* @verifies ATL-LLR-ISOL-0014~2
 * @robust */
TEST(only_pages_of_the_image_are_mapped)
{
    begin(4);
    const uint64_t image = MACHINE_IMAGE_PAGES * PAGE_BYTES;
    const struct {
        uint64_t pages, offset;
        enum result expected;
    } cases[] = {
        {1, image, RESULT_INVALID},
        {2, image - PAGE_BYTES, RESULT_INVALID},
        {1, UINT64_MAX - PAGE_BYTES + 1, RESULT_INVALID},
        {MACHINE_IMAGE_PAGES + 1, 0, RESULT_INVALID},
        {1, image - PAGE_BYTES, RESULT_OK},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
        struct space_request request = {PERCPU_MESSAGE_MAP, range_of(0, cases[i].pages), GATE_READ,
                                        GATE_MAP_IMAGE, cases[i].offset};
        CHECK_EQUAL(call(&request), cases[i].expected);
    }
    end();
}

/* @verifies ATL-LLR-ISOL-0007~1 */
TEST(pages_that_may_be_written_and_executed_are_both)
{
    begin(4);
    struct space_range page = {WINDOW_BASE, PAGE_BYTES};
    CHECK_EQUAL(call(&(struct space_request){PERCPU_MESSAGE_MAP, page, 7, 0, 0}), RESULT_OK);
    CHECK_EQUAL(isolation_space_fault(caller, WINDOW_BASE, SPACE_ACCESS_WRITE), RESULT_OK);
    CHECK(machine_walk(WINDOW_BASE, SPACE_ACCESS_EXECUTE) != NULL);
    end();
}

/* @verifies ATL-LLR-ISOL-0008~1 */
TEST(touching_upwards_brings_pages_along)
{
    begin(5);
    struct space_range range = {WINDOW_BASE, 64 * PAGE_BYTES};
    CHECK_EQUAL(call(&(struct space_request){PERCPU_MESSAGE_MAP, range, 3, 0, 0}), RESULT_OK);
    CHECK_EQUAL(isolation_space_fault(caller, WINDOW_BASE, SPACE_ACCESS_WRITE), RESULT_OK);
    CHECK(machine_walk(WINDOW_BASE + PAGE_BYTES, SPACE_ACCESS_READ) == NULL);
    CHECK_EQUAL(isolation_space_fault(caller, WINDOW_BASE + PAGE_BYTES, SPACE_ACCESS_READ),
                RESULT_OK);
    CHECK(machine_walk(WINDOW_BASE + 16 * PAGE_BYTES, SPACE_ACCESS_WRITE) != NULL);
    CHECK(machine_walk(WINDOW_BASE + 17 * PAGE_BYTES, SPACE_ACCESS_READ) == NULL);
    end();
}

CHECK_MAIN()
