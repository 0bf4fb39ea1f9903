/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on several cores at the same addresses, as a hostile program would: the kernel's
 * side must stay consistent. The machine's TLBs check that no frame is freed while a core can reach
 * it; the words in the pages, that none is in two places. */
#include "machine.h"

#include "check.h"

#include <percpu/scheduler.h>

#define PARTITION_BYTES (16ull << 20)
#define CORES 3u
#define THREADS_EACH 6u
#define STEPS 4000u
#define THREADS_MANY 60u /* more than a channel has credits, more than there are records */
#define STEPS_MANY 150u
#define PAGES 96u

static uint64_t free_before[CORES], free_after[CORES];
static _Atomic uint32_t threads_left;
static PERCORE uint64_t random_state;

static uint64_t random_below(uint64_t limit)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (random_state >> 33) % limit;
}

/* Pages around a 2 MiB boundary in one slot of each core. */
static uint64_t address_of(uint64_t slot, uint64_t page)
{
    return slot * GATE_SLOT_BYTES + (5ull << 30) + LARGE_PAGE_BYTES +
           (page - PAGES / 2) * PAGE_BYTES;
}

static struct space_request random_request(void)
{
    static const uint32_t rights[] = {0, GATE_READ, GATE_READ | GATE_WRITE, GATE_READ | GATE_WRITE,
                                      GATE_READ | GATE_EXECUTE};
    uint64_t first = random_below(PAGES);
    uint64_t count = 1 + random_below(MIN(PAGES - first, 40u));
    struct space_request request = {
        .range = {address_of(random_below(CORES), first), count * PAGE_BYTES},
        .protection = rights[random_below(5)]};
    switch (random_below(6)) {
    case 0 ... 1:
        request.kind = PERCPU_MESSAGE_MAP;
        request.flags = (uint32_t)random_below(3);
        request.offset = request.flags == GATE_MAP_IMAGE ? random_below(8) * PAGE_BYTES : 0;
        break;
    case 2:
        request.kind = PERCPU_MESSAGE_UNMAP;
        request.flags = (uint32_t)random_below(2);
        break;
    default:
        request.kind = PERCPU_MESSAGE_PROTECT;
        break;
    }
    return request;
}

static bool is_expected(int64_t result)
{
    return result == RESULT_OK || result == RESULT_EXISTS || result == RESULT_NO_MEMORY;
}

static uint64_t tag_of(uint64_t address)
{
    return 0x7a90000000000000ull | address;
}

/* Word 0 is zero or an image page's; word 1 zero or this page's own. */
static void check_contents(uint64_t address, uint64_t *words, enum space_access access)
{
    uint64_t image = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
    uint64_t tag = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
    HOST_CHECK(image == 0 || image - machine_image_tag(0) < MACHINE_IMAGE_PAGES);
    HOST_CHECK(tag == 0 || tag == tag_of(address));
    if (access == SPACE_ACCESS_WRITE) {
        __atomic_store_n(&words[1], tag_of(address), __ATOMIC_RELAXED);
    }
}

/* What a thread does; its frame.rbx counts. */
struct script {
    struct space_request request;
    bool in_call;
};
static struct script scripts[CORES][THREADS_MANY];
static uint32_t threads_each, steps_each;

static struct script *script_of(const struct thread *thread)
{
    return &scripts[percpu_self.value][thread->index];
}

static void finish_thread(struct thread *thread)
{
    percpu_thread_wait(thread, NULL);
    percpu_thread_free(thread);
    if (atomic_fetch_sub(&threads_left, 1) == 1) {
        host_finish();
    }
}

static void make_call(struct thread *thread)
{
    struct script *script = script_of(thread);
    thread->resume = RESUME_GATE;
    script->in_call = true;
    int64_t result = machine_request(thread, &script->request);
    if (result != SPACE_PENDING) {
        script->in_call = false;
        HOST_CHECK(is_expected(result));
    }
}

static void touch(struct thread *thread)
{
    for (unsigned n = 0; n < 8; n++) {
        uint64_t address = address_of(random_below(CORES), random_below(PAGES));
        enum space_access access = random_below(2) == 0 ? SPACE_ACCESS_READ : SPACE_ACCESS_WRITE;
        uint64_t *words = machine_access(address, access);
        if (words != NULL) {
            check_contents(address, words, access);
            continue;
        }
        enum result result = isolation_space_fault(thread, address, access);
        HOST_CHECK(result == RESULT_OK || result == SPACE_PENDING || result == RESULT_FAULT ||
                   result == RESULT_NO_MEMORY);
        if (result == SPACE_PENDING) {
            return;
        }
    }
}

static void step(struct thread *thread)
{
    struct script *script = script_of(thread);
    if (script->in_call && thread->resume == RESUME_RESTART) {
        make_call(thread);
        return;
    }
    if (script->in_call) { /* answered while it waited */
        HOST_CHECK(is_expected((int64_t)thread->frame.rax));
        script->in_call = false;
    }
    if (thread->frame.rbx-- == 0) {
        finish_thread(thread);
    } else if (random_below(3) == 0) {
        script->request = random_request();
        make_call(thread);
    } else {
        touch(thread);
    }
    if (thread->state == THREAD_RUNNING) {
        percpu_reschedule = true;
    }
}

static void start_core(void *none)
{
    (void)none;
    machine_core_start();
    free_before[percpu_self.value] = machine_free_frames();
    random_state = 77 + percpu_self.value;
}

static void start_threads(void *none)
{
    (void)none;
    for (unsigned i = 0; i < threads_each; i++) {
        struct thread *thread = host_thread_start(step, 16);
        HOST_CHECK(thread != NULL);
        thread->cell = &machine_cell;
        thread->frame.rbx = steps_each;
        thread->resume = RESUME_GATE;
        scripts[percpu_self.value][thread->index] = (struct script){0};
    }
}

static void run_core(void *none)
{
    (void)none;
    host_loop();
}

/* Unmaps everything, from core 0, then lets the messages settle. */
static void clean_step(struct thread *thread)
{
    struct script *script = script_of(thread);
    if (script->in_call && thread->resume == RESUME_RESTART) {
        make_call(thread);
        return;
    }
    script->in_call = false;
    if (thread->frame.rbx == CORES) {
        finish_thread(thread);
        return;
    }
    script->request =
        (struct space_request){.kind = PERCPU_MESSAGE_UNMAP,
                               .range = {address_of(thread->frame.rbx++, 0), PAGES * PAGE_BYTES}};
    make_call(thread);
}

static void start_cleaner(void *none)
{
    (void)none;
    struct thread *thread = host_thread_start(clean_step, 16);
    thread->cell = &machine_cell;
    thread->frame.rbx = 0;
    scripts[percpu_self.value][thread->index] = (struct script){0};
}

static void settle(void *none)
{
    (void)none;
    percpu_channel_drain();
    free_after[percpu_self.value] = machine_free_frames();
}

static void run_seed(uint64_t seed, uint32_t threads, uint32_t steps)
{
    threads_each = threads;
    steps_each = steps;
    machine_create(CORES, PARTITION_BYTES);
    host_start(&(struct host_config){.core_count = CORES,
                                     .thread_count = THREADS_MANY,
                                     .add_frames = true,
                                     .memory_start = MACHINE_START,
                                     .partition_bytes = PARTITION_BYTES,
                                     .seed = seed});
    for (uint16_t core = 0; core < CORES; core++) {
        host_on(core, start_core, NULL);
    }
    atomic_store(&threads_left, CORES * threads);
    host_on_all(start_threads, NULL);
    host_on_all(run_core, NULL);
    host_prepare();
    atomic_store(&threads_left, 1);
    host_on(0, start_cleaner, NULL);
    host_on_all(run_core, NULL);
    for (unsigned round = 0; round < 4; round++) {
        for (uint16_t core = 0; core < CORES; core++) {
            host_on(core, settle, NULL);
        }
    }
    for (uint16_t core = 0; core < CORES; core++) {
        CHECK_EQUAL(free_after[core], free_before[core]);
    }
    host_stop();
    machine_destroy();
}

/* @verifies ATL-LLR-ISOL-0010~1
 * @verifies ATL-LLR-ISOL-0011~1
 * @verifies ATL-LLR-ISOL-0012~1
 * @verifies ATL-LLR-ISOL-0013~1 */
TEST(no_core_reaches_a_freed_frame_and_nothing_leaks)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run_seed(seed, THREADS_EACH, STEPS);
    }
}

/* @verifies ATL-LLR-ISOL-0017~1 */
TEST(more_threads_than_credits_and_records_all_get_their_turn)
{
    for (uint64_t seed = 11; seed <= 14; seed++) {
        run_seed(seed, THREADS_MANY, STEPS_MANY);
    }
}

/* ---- directed: one access or call at a time, each to its end */

static struct {
    struct space_request request; /* kind PERCPU_MESSAGE_NONE: an access */
    uint64_t address;
    enum space_access access;
    int64_t result;
    uint64_t word; /* that was read, or is to be written */
    bool in_call;
} task;

static void task_end(struct thread *thread, int64_t result)
{
    task.result = result;
    finish_thread(thread);
}

static void task_access(struct thread *thread)
{
    uint64_t *words = machine_access(task.address, task.access);
    if (words == NULL) {
        int64_t result = isolation_space_fault(thread, task.address, task.access);
        if (result != RESULT_OK && result != SPACE_PENDING) {
            task_end(thread, result);
        }
        return;
    }
    if (task.access == SPACE_ACCESS_WRITE) {
        words[1] = task.word;
    }
    task.word = words[1];
    task_end(thread, RESULT_OK);
}

static void task_step(struct thread *thread)
{
    if (task.request.kind == PERCPU_MESSAGE_NONE) {
        task_access(thread);
    } else if (task.in_call && thread->resume != RESUME_RESTART) {
        task_end(thread, (int64_t)thread->frame.rax);
    } else {
        thread->resume = RESUME_GATE;
        task.in_call = true;
        int64_t result = machine_request(thread, &task.request);
        if (result != SPACE_PENDING) {
            task_end(thread, result);
        }
    }
}

static void start_task(void *none)
{
    (void)none;
    struct thread *thread = host_thread_start(task_step, 16);
    HOST_CHECK(thread != NULL);
    thread->cell = &machine_cell;
}

static int64_t run_task(uint16_t core)
{
    host_prepare();
    task.in_call = false;
    atomic_store(&threads_left, 1);
    host_on(core, start_task, NULL);
    host_on_all(run_core, NULL);
    return task.result;
}

static int64_t access_on(uint16_t core, uint64_t address, enum space_access access, uint64_t *word)
{
    task.request.kind = PERCPU_MESSAGE_NONE;
    task.address = address;
    task.access = access;
    task.word = *word;
    int64_t result = run_task(core);
    *word = task.word;
    return result;
}

static int64_t call_on(uint16_t core, struct space_request request)
{
    task.request = request;
    return run_task(core);
}

static void begin_machine(void)
{
    machine_create(CORES, PARTITION_BYTES);
    host_start(&(struct host_config){.core_count = CORES,
                                     .thread_count = 8,
                                     .add_frames = true,
                                     .memory_start = MACHINE_START,
                                     .partition_bytes = PARTITION_BYTES});
    for (uint16_t core = 0; core < CORES; core++) {
        host_on(core, start_core, NULL);
    }
}

static void end_machine(void)
{
    host_stop();
    machine_destroy();
}

/* @verifies ATL-LLR-ISOL-0006~2
 * @verifies ATL-LLR-ISOL-0010~1 */
TEST(a_right_that_is_taken_is_gone_on_every_core)
{
    begin_machine();
    for (uint16_t owner = 0; owner < CORES; owner++) {
        uint64_t page = address_of(owner, 3), word = 9;
        struct space_range range = {page, PAGE_BYTES};
        CHECK_EQUAL(call_on(0, (struct space_request){PERCPU_MESSAGE_MAP, range, 3, 0, 0}),
                    RESULT_OK);
        for (uint16_t core = 0; core < CORES; core++) {
            CHECK_EQUAL(access_on(core, page, SPACE_ACCESS_WRITE, &word), RESULT_OK);
        }
        CHECK_EQUAL(call_on(0, (struct space_request){PERCPU_MESSAGE_PROTECT, range, 1, 0, 0}),
                    RESULT_OK);
        for (uint16_t core = 0; core < CORES; core++) {
            CHECK_EQUAL(access_on(core, page, SPACE_ACCESS_WRITE, &word), RESULT_FAULT);
            CHECK_EQUAL(access_on(core, page, SPACE_ACCESS_READ, &word), RESULT_OK);
            CHECK_EQUAL(word, 9);
        }
        CHECK_EQUAL(call_on(1, (struct space_request){PERCPU_MESSAGE_PROTECT, range, 0, 0, 0}),
                    RESULT_OK);
        CHECK_EQUAL(access_on(2, page, SPACE_ACCESS_READ, &word), RESULT_FAULT);
        CHECK_EQUAL(call_on(2, (struct space_request){PERCPU_MESSAGE_PROTECT, range, 3, 0, 0}),
                    RESULT_OK);
        CHECK_EQUAL(access_on(1, page, SPACE_ACCESS_WRITE, &word), RESULT_OK);
    }
    end_machine();
}

/* Who has read the original reads the copy after the first write, wherever that was.
 * @verifies ATL-LLR-ISOL-0009~1
 * @verifies ATL-LLR-ISOL-0012~1 */
TEST(a_write_to_an_image_page_is_seen_by_every_core)
{
    begin_machine();
    for (uint16_t owner = 0; owner < CORES; owner++) {
        for (uint16_t writer = 0; writer < CORES; writer++) {
            uint64_t page = address_of(owner, 10 + writer), word = 0;
            struct space_range range = {page, PAGE_BYTES};
            CHECK_EQUAL(call_on(0, (struct space_request){PERCPU_MESSAGE_MAP, range, 3,
                                                          GATE_MAP_IMAGE, 5 * PAGE_BYTES}),
                        RESULT_OK);
            for (uint16_t core = 0; core < CORES; core++) {
                CHECK_EQUAL(access_on(core, page, SPACE_ACCESS_READ, &word), RESULT_OK);
                CHECK_EQUAL(word, 0);
            }
            word = 100 + writer;
            CHECK_EQUAL(access_on(writer, page, SPACE_ACCESS_WRITE, &word), RESULT_OK);
            for (uint16_t core = 0; core < CORES; core++) {
                CHECK_EQUAL(access_on(core, page, SPACE_ACCESS_READ, &word), RESULT_OK);
                CHECK_EQUAL(word, 100 + writer);
            }
        }
    }
    end_machine();
}

/* @verifies ATL-LLR-ISOL-0013~1 */
TEST(a_violation_in_another_cores_slot_is_told_to_the_thread)
{
    begin_machine();
    uint64_t word = 0;
    CHECK_EQUAL(access_on(0, address_of(1, 1), SPACE_ACCESS_READ, &word), RESULT_FAULT);
    CHECK_EQUAL(access_on(2, address_of(1, 1), SPACE_ACCESS_WRITE, &word), RESULT_FAULT);
    end_machine();
}

CHECK_MAIN()
