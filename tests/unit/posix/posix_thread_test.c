/* SPDX-License-Identifier: Apache-2.0 */
/* clone, the table of threads and the cache of their stacks, with a kernel that only notes what it
 * is asked for. The test runs on a posix stack of its own, as the code under test expects. */
#include <check.h>
/* The host's names of what the application is told by the same names. */
#undef SI_USER
#undef SI_KERNEL
#undef SI_QUEUE
#undef SI_TKILL
#undef SI_TIMER
#undef SIG_DFL
#undef SIG_IGN
#undef SA_SIGINFO
#undef SA_ONSTACK
#undef SA_RESTART
#undef SA_NODEFER
#undef SA_RESETHAND
#include <core/internal.h>
#include <posix/file.h>
#include <posix/syscalls.h>

#define THREAD_FLAGS 0x50f00u /* VM FS FILES SIGHAND THREAD SYSVSEM */
#define FLAG_SETTLS 0x80000u
#define FLAG_PARENT_SETTID 0x100000u
#define FLAG_CHILD_CLEARTID 0x200000u
#define FLAG_CHILD_SETTID 0x1000000u

extern struct image_header shim_image;
static struct gate_info *writable_info = (struct gate_info *)(uintptr_t)&posix_info;

static struct {
    uint64_t core, entry, stack, cookie;
    int64_t result;
    unsigned calls;
} created;
static unsigned allocated;
static unsigned freed;
static uint64_t moved_to;
static uint64_t unparked;

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

void posix_thread_entry(void)
{
}

void posix_file_hand_out(void)
{
}

int64_t gate_thread_create(uint64_t core, uint64_t entry, uint64_t stack, uint64_t cookie,
                           uint64_t priority)
{
    (void)priority;
    created.core = core, created.entry = entry, created.stack = stack, created.cookie = cookie;
    created.calls++;
    return created.result != 0 ? created.result : (int64_t)(1000 + created.calls);
}

int64_t gate_thread_set(uint64_t thread, uint64_t priority, uint64_t core, uint64_t cores)
{
    (void)thread, (void)priority, (void)cores;
    moved_to = core;
    if (core != GATE_KEEP) {
        posix_words.core = core;
    }
    return 4711;
}

int64_t gate_park(uint64_t deadline, uint64_t flags)
{
    (void)deadline, (void)flags;
    return 0;
}

int64_t gate_unpark(uint64_t thread, uint64_t flags)
{
    (void)flags;
    unparked = thread;
    return 0;
}

noreturn void gate_exit(uint64_t status, uint64_t signal)
{
    (void)signal;
    exit((int)status);
}

noreturn void posix_thread_end(uint64_t status)
{
    exit((int)status);
}

void posix_syscall_report(void)
{
}

#define STACKS_MAX 128
alignas(POSIX_STACK_BYTES) static uint8_t stacks[STACKS_MAX][POSIX_STACK_BYTES];

void *posix_stack_allocate(uint32_t core)
{
    (void)core;
    CHECK(allocated < STACKS_MAX);
    return stacks[allocated++];
}

int64_t posix_console_serve_cores(void)
{
    return 0;
}

void posix_stack_free(void *stack)
{
    (void)stack;
    freed++;
}

bool posix_signal_is_pending(void)
{
    return false;
}

int64_t posix_copy_in(void *to, uint64_t from, size_t bytes)
{
    if (from < 4096) {
        return -EFAULT;
    }
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return 0;
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    if (to < 4096) {
        return -EFAULT;
    }
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}

int64_t posix_store_u32(uint64_t to, uint32_t value)
{
    return posix_copy_out(to, &value, sizeof(value));
}

int64_t posix_load_u32(uint64_t from, uint32_t *value)
{
    return posix_copy_in(value, from, sizeof(*value));
}

uint64_t posix_now_ns(void)
{
    return 1;
}

/* Tests run on the host's stack; this thread's record is where posix_self finds it from a stack
 * that is aligned to POSIX_STACK_BYTES, so each test body is called on such a one. */
static uint8_t *own_stack;
static void (*body)(void);

struct posix_thread *posix_self(void)
{
    uint64_t stack = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    return posix_thread_of_stack((void *)(stack & ~(uint64_t)(POSIX_STACK_BYTES - 1)));
}

__attribute__((noinline)) static void run_body(void)
{
    body();
}

static void on_posix_stack(void (*run)(void))
{
    uint64_t top = at(posix_thread_of_stack(own_stack)) - 512;
    body = run;
    __asm__ volatile("mov %%rsp, %%rbx\n mov %0, %%rsp\n call *%1\n mov %%rbx, %%rsp\n"
                     :
                     : "r"(top & ~15ull), "r"(run_body)
                     : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
                       "cc");
}

/* Results of a body that ran on the small stack, checked on the host's. */
static int64_t results[16];
static uint32_t parent_tid;
static struct gate_frame parent_frame;

static struct posix_thread *child(void)
{
    return (struct posix_thread *)(uintptr_t)created.cookie;
}

static void clone_all(void)
{
    posix_self()->frame = &parent_frame;
    results[0] = posix_clone(THREAD_FLAGS | FLAG_SETTLS | FLAG_PARENT_SETTID | FLAG_CHILD_CLEARTID |
                                 FLAG_CHILD_SETTID | 17,
                             0x7000, at(&parent_tid), 0x5554, 0x1234);
}

/* @verifies ATL-LLR-POSIX-0020~1
 * @verifies ATL-LLR-POSIX-0023~1 */
TEST(clone_gives_the_child_its_frame_and_ids)
{
    parent_frame = (struct gate_frame){.rax = 56, .rbx = 3, .rip = 0x401000, .rsp = 0x6000};
    on_posix_stack(clone_all);
    CHECK(results[0] > 1);
    CHECK_EQUAL(parent_tid, results[0]);
    CHECK_EQUAL(created.entry, at(posix_thread_entry));
    CHECK_EQUAL(created.stack, created.cookie);
    CHECK_EQUAL(child()->id, results[0]);
    CHECK_EQUAL(child()->fs_base, 0x1234);
    CHECK_EQUAL(child()->clear_child_tid, 0x5554);
    CHECK_EQUAL(child()->handle, 1000 + created.calls);
    const struct gate_frame *frame = (const struct gate_frame *)(uintptr_t)created.stack - 1;
    CHECK_EQUAL(frame->rax, 0);
    CHECK_EQUAL(frame->rbx, 3);
    CHECK_EQUAL(frame->rip, 0x401000);
    CHECK_EQUAL(frame->rsp, 0x7000);
}

static void clone_refused(void)
{
    posix_self()->frame = &parent_frame;
    results[0] = posix_clone(17, 0, 0, 0, 0);          /* fork */
    results[1] = posix_clone(0x4100 | 17, 0, 0, 0, 0); /* vfork */
    results[2] = posix_clone(0x10000, 0, 0, 0, 0);     /* THREAD without SIGHAND */
    results[3] = posix_clone(0x800, 0, 0, 0, 0);       /* SIGHAND without VM */
    results[4] = posix_clone(THREAD_FLAGS | 0x20000000, 0x7000, 0, 0, 0); /* a new namespace */
    created.result = -EAGAIN;
    results[5] = posix_clone(THREAD_FLAGS, 0x7000, 0, 0, 0);
    created.result = 0;
}

/* @verifies ATL-LLR-POSIX-0022~1 @robust */
TEST(clone_refuses_what_is_not_a_thread)
{
    unsigned before = created.calls;
    uint32_t threads = posix_thread_count();
    on_posix_stack(clone_refused);
    CHECK_EQUAL(results[0], -ENOSYS);
    CHECK_EQUAL(results[1], -ENOSYS);
    CHECK_EQUAL(results[2], -EINVAL);
    CHECK_EQUAL(results[3], -EINVAL);
    CHECK_EQUAL(results[4], -ENOSYS);
    CHECK_EQUAL(results[5], -EAGAIN);
    CHECK_EQUAL(created.calls, before + 1);
    CHECK_EQUAL(posix_thread_count(), threads);
}

static uint64_t arguments[16];

static void clone3_many(void)
{
    posix_self()->frame = &parent_frame;
    arguments[0] = THREAD_FLAGS;
    arguments[5] = 0x10000;
    arguments[6] = 0x2000;
    results[0] = posix_clone3(at(arguments), 88);
    results[1] = posix_clone3(at(arguments), 63);
    results[2] = posix_clone3(at(arguments), 5000);
    results[3] = posix_clone3(16, 88);
    arguments[11] = 1; /* unknown to us */
    results[4] = posix_clone3(at(arguments), 96);
    arguments[11] = 0;
    results[5] = posix_clone3(at(arguments), 96);
    arguments[4] = 17;
    results[6] = posix_clone3(at(arguments), 88);
    arguments[4] = 0;
    arguments[6] = 0;
    results[7] = posix_clone3(at(arguments), 88);
}

/* @verifies ATL-LLR-POSIX-0024~1 @robust */
TEST(clone3_checks_its_structure)
{
    on_posix_stack(clone3_many);
    CHECK(results[0] > 1);
    CHECK_EQUAL(results[1], -EINVAL);
    CHECK_EQUAL(results[2], -E2BIG);
    CHECK_EQUAL(results[3], -EFAULT);
    CHECK_EQUAL(results[4], -E2BIG);
    CHECK(results[5] > 1);
    CHECK_EQUAL(results[6], -EINVAL);
    CHECK_EQUAL(results[7], -EINVAL);
    const struct gate_frame *frame = (const struct gate_frame *)(uintptr_t)created.stack - 1;
    CHECK_EQUAL(frame->rsp, 0x12000);
}

static void clone_and_place(void)
{
    posix_self()->frame = &parent_frame;
    atomic_store(&posix_self()->affinity, 0xa); /* cores 1 and 3 */
    for (int i = 0; i < 4; i++) {
        posix_clone(THREAD_FLAGS, 0x7000, 0, 0, 0);
        results[i] = (int64_t)created.core;
    }
    atomic_store(&posix_self()->affinity, 0xf);
}

/* @verifies ATL-LLR-POSIX-0027~1 */
TEST(threads_go_round_the_cores_that_the_mask_allows)
{
    on_posix_stack(clone_and_place);
    for (int i = 0; i < 4; i++) {
        CHECK(results[i] == 1 || results[i] == 3);
        CHECK(i == 0 || results[i] != results[i - 1]);
    }
}

/* @verifies ATL-LLR-POSIX-0021~1 */
TEST(a_stack_is_used_again_only_when_the_kernel_is_done_with_it)
{
    unsigned before = allocated;
    void *stack = posix_stack_take(2);
    CHECK_EQUAL(allocated, before + 1);
    struct posix_thread *record = posix_thread_of_stack(stack);
    *record = (struct posix_thread){.stack_core = 2};
    posix_stack_give(record);
    void *other = posix_stack_take(2);
    CHECK(other != stack);
    CHECK_EQUAL(allocated, before + 2);
    atomic_store(&record->done, 1);
    CHECK(posix_stack_take(1) != stack);
    CHECK(posix_stack_take(2) == stack);
    CHECK(posix_stack_take(2) != stack);
}

/* @verifies ATL-LLR-POSIX-0021~1 */
TEST(the_cache_is_bounded)
{
    unsigned before = freed;
    for (int i = 0; i < 70; i++) {
        struct posix_thread *record = posix_thread_of_stack(posix_stack_allocate(0));
        *record = (struct posix_thread){.stack_core = 0};
        posix_stack_give(record);
        atomic_store(&record->done, 1);
    }
    CHECK_EQUAL(freed, before + 6);
}

static void affinity_calls(void)
{
    uint64_t mask = 0;
    results[0] = posix_sched_getaffinity(0, 128, at(&mask));
    results[1] = (int64_t)mask;
    results[2] = posix_sched_getaffinity(0, 4, at(&mask));
    results[3] = posix_sched_getaffinity(99999, 8, at(&mask));
    mask = 0x10; /* no such core */
    results[4] = posix_sched_setaffinity(0, 8, at(&mask));
    mask = 0x4;
    results[5] = posix_sched_setaffinity(0, 8, at(&mask));
    results[6] = (int64_t)moved_to;
    results[7] = (int64_t)posix_core();
    mask = 0xf;
    results[8] = posix_sched_setaffinity(0, 8, at(&mask));
    results[9] = posix_sched_getaffinity(0, 8, 16);
}

/* @verifies ATL-LLR-POSIX-0050~1
 * @verifies ATL-LLR-POSIX-0051~1 */
TEST(affinity_is_told_and_moves_the_caller)
{
    on_posix_stack(affinity_calls);
    CHECK_EQUAL(results[0], 8);
    CHECK_EQUAL(results[1], 0xf);
    CHECK_EQUAL(results[2], -EINVAL);
    CHECK_EQUAL(results[3], -ESRCH);
    CHECK_EQUAL(results[4], -EINVAL);
    CHECK_EQUAL(results[5], 0);
    CHECK_EQUAL(results[6], 2);
    CHECK_EQUAL(results[7], 2);
    CHECK_EQUAL(results[8], 0);
    CHECK_EQUAL(results[9], -EFAULT);
}

static void initialize(void)
{
    posix_thread_initialize(posix_self());
}

__attribute__((constructor)) static void begin(void)
{
    writable_info->core_count = 4;
    writable_info->index_address = at(&shim_image);
    own_stack = stacks[allocated++];
    on_posix_stack(initialize);
}

CHECK_MAIN()
