/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks the gate from ring 3, beside its own posix/: raw gate calls by `syscall` from code made
 * at run time, from all cores at once, half with random arguments, half with arguments near valid
 * ones, while other threads rewrite and unmap the memory that arguments point to. Every result must
 * be one that the gate's definition allows, a model predicts the exact result for memory that one
 * thread owns, the audit must hold, and after the quiesce (all threads joined, all windows
 * unmapped) frames, threads and credits of every core must be exactly what they were.
 *
 * It must not break its own posix/: memory calls are limited to windows that it reserved, its
 * threads are not ended, moved, or parked for long, and the console is not written. On Linux the
 * calls are unknown (ENOSYS); then the program says so and checks that alone. Fault injection:
 * --break CASE; --break leak keeps a populated page, so that `quiesce` must fail.
 *
 * @verifies ATL-HLR-CONF-0013~1 @robust
 * @verifies ATL-LLR-GATE-0026~1 ATL-LLR-GATE-0028~3 ATL-HLR-GATE-0001~1 */
#include "gate_raw.h"

#define WINDOW_PAGES 64ull
#define CORES_MAX 16
#define WORKERS_MAX (2 * CORES_MAX)
#define ROUNDS_MAX 16

static uint64_t windows[CORES_MAX], model_windows[CORES_MAX];
static _Atomic uint64_t handles[WORKERS_MAX];
static _Atomic uint64_t scratch[64];
static volatile int stop;
static pthread_barrier_t
    all_live;                 /* every round has the same peak of threads: posix/ keeps stacks */
static unsigned round_number; /* no two rounds are alike */

static uint64_t pick(unsigned long long *random, const uint64_t *values, size_t count)
{
    return values[check_random(random) % count];
}
#define PICK(random, ...)                                                                          \
    pick((random), (const uint64_t[]){__VA_ARGS__},                                                \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Any 64-bit value that no memory call can take for a mappable page: misaligned or not canonical.
 */
static uint64_t wild(unsigned long long *random)
{
    uint64_t value = check_random(random) >> (check_random(random) % 48);
    return value | (check_random(random) % 2 ? 1 : 1ull << 63);
}

static uint64_t window_page(unsigned long long *random)
{
    uint64_t window = windows[check_random(random) % (unsigned)check_all_cores_count];
    return window + check_random(random) % WINDOW_PAGES * PAGE;
}

/* Where an argument may point: own memory, memory that comes and goes, the kernel, nowhere. */
static uint64_t pointer(unsigned long long *random)
{
    return PICK(random, (uintptr_t)scratch, (uintptr_t)scratch + 3, window_page(random),
                window_page(random) + PAGE - 4, KERNEL_ADDRESS, 0xffff800000000000, 0, 8,
                0x0000800000000000, GATE_SLOT_BYTES * 256 - 4, wild(random));
}

static uint64_t some_handle(unsigned long long *random)
{
    uint64_t live = handles[check_random(random) % WORKERS_MAX];
    return PICK(random, live, live, live ^ 1ull << 32, live + 1, live | 0xffff0000, live | 0xffff,
                0, UINT64_MAX, wild(random));
}

struct memory_arguments {
    uint64_t address, bytes, protection, flags, offset;
};

/* A range inside a window, or one that must be refused. */
static struct memory_arguments memory_arguments(unsigned long long *random)
{
    uint64_t window = windows[check_random(random) % (unsigned)check_all_cores_count];
    uint64_t first = check_random(random) % WINDOW_PAGES;
    struct memory_arguments arguments = {
        .address = window + first * PAGE,
        .bytes = (1 + check_random(random) % (WINDOW_PAGES - first)) * PAGE,
        .protection = PICK(random, 0, 1, 3, 5, 7, 2, 4, 8, wild(random)),
        .flags = PICK(random, 0, 0, 1, 2, 3, 4, wild(random)),
        .offset = PICK(random, 0, 0, PAGE, 1, 1ull << 40, wild(random)),
    };
    if (check_random(random) % 4 == 0) {
        arguments.address = PICK(random, 0, PAGE, 0xf000, GATE_SLOT_BYTES * GATE_PRIVATE_SLOT,
                                 GATE_SLOT_BYTES * 256 - PAGE, KERNEL_ADDRESS, 0xffff800000000000,
                                 0x0000800000000000, wild(random));
        arguments.bytes = PICK(random, 0, PAGE, 1, wild(random), UINT64_MAX - PAGE + 1);
    } else if (check_random(random) % 8 == 0) {
        arguments.bytes = PICK(random, 0, 1, PAGE - 1, UINT64_MAX, 1ull << 63, wild(random));
    }
    return arguments;
}

static int64_t attack_memory(unsigned number, unsigned long long *random)
{
    struct memory_arguments m = memory_arguments(random);
    switch (number) {
    case GATE_MAP:
        return call(GATE_MAP, m.address, m.bytes, m.protection, m.flags, m.offset);
    case GATE_UNMAP:
        return call(GATE_UNMAP, m.address, m.bytes, m.flags, 0, 0);
    default:
        return call(GATE_PROTECT, m.address, m.bytes, m.protection, 0, 0);
    }
}

static int64_t attack_thread(unsigned number, unsigned long long *random)
{
    uint64_t soon = (uint64_t)check_now_ns(CLOCK_MONOTONIC) + check_random(random) % 200000;
    switch (number) {
    case GATE_EXIT: /* always invalid: one word out of range */
        return call(GATE_EXIT, 256 | wild(random), check_random(random), 0, 0, 0);
    case GATE_THREAD_CREATE: /* never an entry inside posix */
        return call(GATE_THREAD_CREATE, PICK(random, 0, 1, 2, 99, wild(random)),
                    PICK(random, (uintptr_t)attack_thread, 0, KERNEL_ADDRESS, 0x0000800000000000,
                         windows[0]),
                    pointer(random), wild(random), PICK(random, 0, 16, 31, 32, wild(random)));
    case GATE_THREAD_EXIT: /* a word that cannot be written */
        return call(GATE_THREAD_EXIT,
                    PICK(random, 1, (uintptr_t)scratch + 2, KERNEL_ADDRESS, 0xffff800000000000, 8,
                         wild(random) | 1),
                    0, 0, 0, 0);
    case GATE_THREAD_SET: /* never moves: the core is kept or invalid */
        return call(GATE_THREAD_SET, some_handle(random),
                    PICK(random, GATE_KEEP, 1, 33, 64, 1ull << 32, wild(random)),
                    PICK(random, GATE_KEEP, GATE_KEEP, 0xffff, 1ull << 32, 1ull << 63), 0, 0);
    case GATE_PARK: /* a short wait, or flags that are refused */
        return check_random(random) % 2
                   ? call(GATE_PARK, PICK(random, 0, 1, soon), PICK(random, 0, 1), 0, 0, 0)
                   : call(GATE_PARK, wild(random), 2 | wild(random), 0, 0, 0);
    default:
        return call(GATE_UNPARK, some_handle(random), PICK(random, 0, 1, 1, 2, wild(random)), 0, 0,
                    0);
    }
}

static int64_t attack_data(unsigned number, unsigned long long *random)
{
    switch (number) {
    case GATE_CONSOLE: /* nothing that writes or consumes */
        return call(GATE_CONSOLE, PICK(random, 0, 1, 2, 3, 4, 5, wild(random)),
                    PICK(random, 3, 4, wild(random)), pointer(random),
                    PICK(random, 0, 1, 4096, 4097, wild(random)), 0);
    case GATE_KICK: /* this machine has no port */
        return call(GATE_KICK, PICK(random, 0, 1, wild(random)), PICK(random, 0, 1, 2), 0, 0, 0);
    case GATE_RANDOM:
        return call(GATE_RANDOM, pointer(random), PICK(random, 0, 1, 8, 256, 257, wild(random)), 0,
                    0, 0);
    default: {
        uint64_t kind = PICK(random, 1, 1, 1, 1, 1, 1, 1, 2, 0, 3, wild(random));
        int whole_audit = kind == GATE_INFORMATION_AUDIT && check_random(random) % 16 == 0;
        return whole_audit
                   ? call(GATE_INFORMATION, kind, 0, 0, 0, 0)
                   : call(GATE_INFORMATION, kind, PICK(random, 0, 1, 2, 7, 0xffff, wild(random)),
                          PICK(random, 1, 2, 11, 12, 13, wild(random)), wild(random), 0);
    }
    }
}

static void attack(unsigned long long *random)
{
    unsigned number = (unsigned)(check_random(random) % GATE_CALL_COUNT);
    int64_t result;
    if (number == GATE_MAP || number == GATE_UNMAP || number == GATE_PROTECT) {
        result = attack_memory(number, random);
    } else if (number <= GATE_UNPARK) {
        result = attack_thread(number, random);
    } else {
        result = attack_data(number, random);
    }
    judge(number, result);
}

static void *work(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    unsigned long long random = 0x1234567 + index + 0x1000 * round_number;
    check_pin((int)index);
    pthread_barrier_wait(&all_live);
    handles[index] = (uint64_t)call(GATE_THREAD_SET, 0, GATE_KEEP, GATE_KEEP, 0, 0);
    for (long i = 0; i < check_count(2000); i++) {
        attack(&random);
    }
    handles[index] = 0;
    return NULL;
}

static void scribble_once(void *argument)
{
    unsigned long long *random = argument;
    for (int i = 0; i < 64; i++) {
        *(volatile uint64_t *)window_page(random) = check_random(random);
        scratch[check_random(random) % 64] = check_random(random);
    }
}

/* Rewrites what arguments point to; faults when a page has just gone, and goes on. */
static void *scribble(void *argument)
{
    unsigned long long random = 77;
    check_pin((int)(uintptr_t)argument);
    pthread_barrier_wait(&all_live);
    while (!stop) {
        struct fault fault = fault_run(scribble_once, &random);
        CHECK(fault.signal == 0 || fault.signal == SIGSEGV);
    }
    return NULL;
}

/* One thread alone uses its window: each result and each page's access are predicted. */
struct model {
    uint64_t window;
    int8_t protection[WINDOW_PAGES]; /* -1: nothing mapped */
};

static int model_holds(const struct model *model, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (model->protection[i] >= 0) {
            return 1;
        }
    }
    return 0;
}

static void model_step(struct model *model, unsigned long long *random)
{
    uint64_t first = check_random(random) % WINDOW_PAGES;
    uint64_t count = 1 + check_random(random) % (WINDOW_PAGES - first);
    uint64_t address = model->window + first * PAGE, kind = check_random(random) % 3;
    uint64_t protection = PICK(random, 0, 1, 3, 5, 7);
    int64_t result, expected = 0;
    if (kind == 0) {
        result = call(GATE_MAP, address, count * PAGE, protection, 0, 0);
        expected = protection == 7 ? -EACCES : model_holds(model, first, count) ? -EEXIST : 0;
    } else if (kind == 1) {
        result = call(GATE_PROTECT, address, count * PAGE, protection, 0, 0);
        expected = protection == 7 ? -EACCES : 0;
    } else {
        result = call(GATE_UNMAP, address, count * PAGE, 0, 0, 0);
        protection = (uint64_t)-1;
    }
    if (result == -ENOMEM) {
        return; /* out of memory is allowed at any time, and nothing has changed */
    }
    CHECK_EQUAL(result, expected);
    for (uint64_t i = first; result == 0 && i < first + count; i++) {
        if (kind != 1 || model->protection[i] >= 0) { /* protect leaves holes alone */
            model->protection[i] = (int8_t)protection;
        }
    }
}

static void model_verify(const struct model *model)
{
    for (uint64_t i = 0; i < WINDOW_PAGES; i++) {
        void *page = (void *)(model->window + i * PAGE);
        int8_t protection = model->protection[i];
        CHECK_EQUAL(fault_run(fault_read, page).signal, protection > 0 ? 0 : SIGSEGV);
        CHECK_EQUAL(fault_run(fault_write, page).signal, protection == 3 ? 0 : SIGSEGV);
    }
}

static void *model_work(void *argument)
{
    unsigned index = (unsigned)(uintptr_t)argument;
    unsigned long long random = 0x7654321 + index + 0x1000 * round_number;
    struct model model = {.window = model_windows[index]};
    check_pin((int)index);
    pthread_barrier_wait(&all_live);
    memset(model.protection, 0xff, sizeof(model.protection));
    for (long i = 0; i < check_count(2000) / 20 + 1; i++) {
        model_step(&model, &random);
        if (i % 8 == 0) {
            model_verify(&model);
        }
    }
    return NULL;
}

static uint64_t reserve_window(void)
{
    void *window = mmap(NULL, WINDOW_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(window != MAP_FAILED);
    return (uint64_t)window; /* posix/ keeps it reserved, the gate forgets it */
}

/* Each core's windows lie in slots of that core. */
static void *reserve_on_core(void *argument)
{
    uintptr_t index = (uintptr_t)argument;
    check_pin((int)index);
    windows[index] = reserve_window();
    model_windows[index] = reserve_window();
    return NULL;
}

static void empty_windows(void)
{
    for (int i = 0; i < check_all_cores_count; i++) {
        CHECK_EQUAL(call(GATE_UNMAP, windows[i], WINDOW_PAGES * PAGE, 0, 0, 0), 0);
        CHECK_EQUAL(call(GATE_UNMAP, model_windows[i], WINDOW_PAGES * PAGE, 0, 0, 0), 0);
    }
}

static void read_counts(struct gate_core_counts *counts)
{
    for (int i = 0; i < check_all_cores_count; i++) {
        for (uint64_t count = 0; count < sizeof(*counts) / sizeof(uint64_t); count++) {
            int64_t value = call(GATE_INFORMATION, GATE_INFORMATION_CORE, (uint64_t)i, count, 0, 0);
            CHECK(value >= 0);
            ((uint64_t *)&counts[i])[count] = (uint64_t)value;
        }
    }
}

/* All threads at once; returns when they are joined and the windows are empty: the quiesce. */
static void one_round(void)
{
    pthread_t threads[2 * WORKERS_MAX];
    int count = 0;
    stop = 0;
    round_number++;
    CHECK_EQUAL(pthread_barrier_init(&all_live, NULL, 1 + 3u * (unsigned)check_all_cores_count), 0);
    pthread_t scribbler = check_thread(scribble, (void *)1);
    for (long i = 0; i < 2 * check_all_cores_count; i++) {
        threads[count++] = check_thread(work, (void *)i);
    }
    for (long i = 0; i < check_all_cores_count; i++) {
        threads[count++] = check_thread(model_work, (void *)i);
    }
    while (count > 0) {
        check_join(threads[--count]);
    }
    stop = 1;
    check_join(scribbler);
    empty_windows();
    check_sleep_ms(50); /* frames on their way home arrive */
}

static struct gate_core_counts before[CORES_MAX], after[CORES_MAX];

static int frames_are_equal(void)
{
    for (int core = 0; core < check_all_cores_count; core++) {
        if (before[core].frames_free != after[core].frames_free) {
            return 0;
        }
    }
    return 1;
}

/* posix/ keeps stacks and records of threads for later ones, as many as ever lived at once: rounds
 * until two in a row have changed nothing. A leak of each round, however small, never settles. */
static void rounds(void)
{
    int settled = 0;
    one_round();
    read_counts(after);
    for (int i = 0; i < ROUNDS_MAX && settled < 2; i++) {
        memcpy(before, after, sizeof(before));
        one_round();
        read_counts(after);
        settled = frames_are_equal() ? settled + 1 : 0;
    }
    CHECK_EQUAL(settled, 2);
}

static void everything_at_once(void)
{
    if (!has_gate) {
        CHECK_EQUAL(call(GATE_MAP, 0, 0, 0, 0, 0), -ENOSYS);
        return;
    }
    CHECK(check_all_cores_count <= CORES_MAX);
    for (long i = 0; i < check_all_cores_count; i++) {
        check_join(check_thread(reserve_on_core, (void *)i));
    }
    empty_windows();
    rounds();
    if (check_state.broken != NULL && strcmp(check_state.broken, "leak") == 0) {
        CHECK_EQUAL(call(GATE_MAP, windows[0], PAGE, GATE_READ, GATE_MAP_POPULATE, 0), 0);
        read_counts(after);
    }
}

static void quiesce(void)
{
    for (int i = 0; i < check_all_cores_count; i++) {
        CHECK_EQUAL(after[i].frames_free, before[i].frames_free);
        CHECK_EQUAL(after[i].frames_total, before[i].frames_total);
        CHECK_EQUAL(after[i].threads_live, before[i].threads_live);
        CHECK_EQUAL(after[i].credits_free, before[i].credits_free);
        CHECK_EQUAL(after[i].credits_free, after[i].credits_total);
    }
}

static void audit_holds(void)
{
    check_audits(has_gate ? 0 : -ENOSYS);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"find_gate", find_gate},
                                              {"everything_at_once", everything_at_once},
                                              {"audit_holds", audit_holds},
                                              {"quiesce", quiesce}};
    fault_install();
    int status = CHECK_MAIN(cases);
    print_table();
    return status;
}
