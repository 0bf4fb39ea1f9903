/* SPDX-License-Identifier: Apache-2.0 */
/* Every result that the gate's definition names, at least --count times (1,000) each, made on
 * purpose: by all cores at once where the machine need not be exhausted, then with a full thread
 * pool, with full memory, and with a console that has input, then none. The table is printed. After
 * each the system is whole. Left out are success of `exit`, which ends the cell, EPERM of
 * `information`, which says that the audit does not hold, and what `kick` says where there is a
 * port (test_port.py). Success of thread_create and thread_exit is seen through pthreads: each
 * makes exactly one such call. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0013~1 @robust
 * @verifies ATL-LLR-GATE-0020~1 ATL-LLR-GATE-0021~1 ATL-LLR-GATE-0022~1 ATL-LLR-GATE-0023~2
 * @verifies ATL-LLR-GATE-0039~1 ATL-LLR-GATE-0800~1 @robust
 * @verifies ATL-LLR-GATE-0024~1 ATL-LLR-GATE-0025~1 ATL-LLR-GATE-0026~1 ATL-LLR-GATE-0027~3 */
#include "gate_raw.h"

#define THREADS_MAX 4096
#define LARGE_PAGE (2ull << 20)
#define FILL_BYTES (1ull << 30)

static uint64_t scratch[64] __attribute__((aligned(64)));
static pthread_barrier_t all_started;

static int64_t seen(unsigned number, int64_t result)
{
    judge(number, result);
    return result;
}

static void expect(unsigned number, int64_t result, int64_t expected)
{
    CHECK_EQUAL(seen(number, result), expected);
}

/* A reservation that posix/ keeps and the gate has forgotten. */
static uint64_t window(uint64_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(at != MAP_FAILED);
    CHECK_EQUAL(call(GATE_UNMAP, (uint64_t)at, bytes, 0, 0, 0), 0);
    return (uint64_t)at;
}

static void thread_results(uint64_t self)
{
    uint64_t other_core = (GATE_THREAD_CORE(self) + 1) % (uint64_t)check_all_cores_count;
    uint64_t stale = self + (1ull << 32), missing = self | 0xffff;
    expect(GATE_EXIT, call(GATE_EXIT, 256, 0, 0, 0, 0), -EINVAL);
    expect(GATE_THREAD_CREATE, call(GATE_THREAD_CREATE, 0, KERNEL_ADDRESS, 0, 0, 16), -EINVAL);
    expect(GATE_THREAD_EXIT, call(GATE_THREAD_EXIT, KERNEL_ADDRESS, 0, 0, 0, 0), -EFAULT);
    expect(GATE_THREAD_EXIT, call(GATE_THREAD_EXIT, 1, 0, 0, 0, 0), -EINVAL);
    CHECK(seen(GATE_THREAD_SET, call(GATE_THREAD_SET, self, 1, GATE_KEEP, 0, 0)) > 0);
    expect(GATE_THREAD_SET, call(GATE_THREAD_SET, self, 64, GATE_KEEP, 0, 0), -EINVAL);
    expect(GATE_THREAD_SET, call(GATE_THREAD_SET, stale, 1, GATE_KEEP, 0, 0), -ESRCH);
    expect(GATE_THREAD_SET, call(GATE_THREAD_SET, self, 1, other_core, 0, 0), -EINVAL);
    expect(GATE_THREAD_SET, call(GATE_THREAD_SET, missing, 1, GATE_KEEP, 0, 0), -ESRCH);
    expect(GATE_UNPARK, call(GATE_UNPARK, self, 0, 0, 0, 0), 0);
    expect(GATE_PARK, call(GATE_PARK, GATE_NEVER, 0, 0, 0, 0), 0);
    expect(GATE_PARK, call(GATE_PARK, 0, 2, 0, 0, 0), -EINVAL);
    expect(GATE_UNPARK, call(GATE_UNPARK, self, 2, 0, 0, 0), -EINVAL);
    expect(GATE_UNPARK, call(GATE_UNPARK, stale, 0, 0, 0, 0), -ESRCH);
    while (seen(GATE_PARK, call(GATE_PARK, 1, 0, 0, 0, 0)) != -ETIMEDOUT) {
        /* an early return is allowed */
    }
}

static void memory_results(uint64_t at)
{
    expect(GATE_MAP, call(GATE_MAP, at, PAGE, GATE_READ | GATE_WRITE, 0, 0), 0);
    *(volatile uint64_t *)at = at;
    expect(GATE_MAP, call(GATE_MAP, at, PAGE, GATE_READ, 0, 0), -EEXIST);
    expect(GATE_MAP, call(GATE_MAP, at + PAGE, PAGE, 7, 0, 0), -EACCES);
    expect(GATE_MAP, call(GATE_MAP, at + 1, PAGE, GATE_READ, 0, 0), -EINVAL);
    expect(GATE_PROTECT, call(GATE_PROTECT, at, PAGE, GATE_READ, 0, 0), 0);
    CHECK_EQUAL(*(volatile uint64_t *)at, at);
    expect(GATE_PROTECT, call(GATE_PROTECT, at, PAGE, 7, 0, 0), -EACCES);
    expect(GATE_PROTECT, call(GATE_PROTECT, at, 1, GATE_READ, 0, 0), -EINVAL);
    expect(GATE_PROTECT, call(GATE_PROTECT, at, 2 * PAGE, GATE_READ, 0, 0), 0); /* a hole stays */
    expect(GATE_UNMAP, call(GATE_UNMAP, at, 0, 0, 0, 0), -EINVAL);
    expect(GATE_UNMAP, call(GATE_UNMAP, at, PAGE, 0, 0, 0), 0);
}

static void data_results(uint64_t core)
{
    uint64_t buffer = (uintptr_t)scratch;
    expect(GATE_RANDOM, call(GATE_RANDOM, buffer, 8, 0, 0, 0), 0);
    expect(GATE_RANDOM, call(GATE_RANDOM, buffer, 257, 0, 0, 0), -EINVAL);
    expect(GATE_RANDOM, call(GATE_RANDOM, KERNEL_ADDRESS, 8, 0, 0, 0), -EFAULT);
    expect(GATE_INFORMATION,
           call(GATE_INFORMATION, GATE_INFORMATION_CORE, core, GATE_COUNT(credits_total), 0, 0),
           32 * (check_all_cores_count - 1));
    expect(GATE_INFORMATION, call(GATE_INFORMATION, 99, 0, 0, 0, 0), -EINVAL);
    expect(GATE_INFORMATION,
           call(GATE_INFORMATION, GATE_INFORMATION_CORE, 0, GATE_COUNT(busy_ns) + 1, 0, 0),
           -EINVAL);
    expect(GATE_KICK, call(GATE_KICK, GATE_PORT_NETWORK, 0, 0, 0, 0), -EINVAL);
    expect(GATE_CONSOLE, call(GATE_CONSOLE, 5, 0, 0, 0, 0), core == 0 ? -EINVAL : -EXDEV);
    expect(GATE_CONSOLE, call(GATE_CONSOLE, GATE_CONSOLE_WRITE, 1, KERNEL_ADDRESS, 8, 0),
           core == 0 ? -EFAULT : -EXDEV);
}

static void *work(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    uint64_t self = (uint64_t)call(GATE_THREAD_SET, 0, GATE_KEEP, GATE_KEEP, 0, 0);
    uint64_t own = window(2 * PAGE);
    pthread_barrier_wait(&all_started);
    for (long i = 0; i < check_count(1000); i++) {
        thread_results(self);
        memory_results(own);
        data_results((uintptr_t)argument);
    }
    return NULL;
}

static int is_linux(void)
{
    if (gate == NULL) {
        find_gate(); /* this case runs alone */
    }
    if (!has_gate) {
        CHECK_EQUAL(call(GATE_MAP, 0, 0, 0, 0, 0), -ENOSYS);
    }
    return !has_gate;
}

static void from_all_cores(void)
{
    pthread_t threads[CHECK_CORES_MAX];
    if (is_linux()) {
        return;
    }
    CHECK_EQUAL(pthread_barrier_init(&all_started, NULL, (unsigned)check_all_cores_count), 0);
    for (long i = 0; i < check_all_cores_count; i++) {
        threads[i] = check_thread(work, (void *)i);
    }
    for (int i = 0; i < check_all_cores_count; i++) {
        check_join(threads[i]);
    }
}

static void *nothing(void *argument)
{
    return argument;
}

static _Atomic uint32_t may_end;

static void *wait_for_end(void *argument)
{
    while (may_end == 0) {
        check_sleep_ms(1000); /* the time does not matter: signals end it */
    }
    return argument;
}

static void wake(int signal)
{
    (void)signal;
}

static _Atomic int pool_is_full, moves_done;

/* Tries to move to core 0 while that has no thread to spare: nothing changes. */
static void *move_to_full_core(void *argument)
{
    check_pin(1);
    while (!pool_is_full) {
        sched_yield();
    }
    for (long i = 0; i < check_count(1000); i++) {
        expect(GATE_THREAD_SET, call(GATE_THREAD_SET, 0, GATE_KEEP, 0, 0, 0), -EAGAIN);
    }
    moves_done = 1;
    return argument;
}

static int create_on_core_0(pthread_t *thread)
{
    pthread_attr_t attributes;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, 16384), 0);
    int result = pthread_create(thread, &attributes, wait_for_end, NULL);
    seen(GATE_THREAD_CREATE, -result);
    return result;
}

static void with_full_thread_pool(void)
{
    static pthread_t threads[THREADS_MAX];
    struct sigaction action = {.sa_handler = wake};
    int count = 0;
    if (is_linux()) {
        return;
    }
    CHECK(check_all_cores_count > 1);
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t mover = check_thread(move_to_full_core, NULL);
    check_pin(0);
    while (create_on_core_0(&threads[count]) == 0) {
        count++;
        CHECK(count < THREADS_MAX);
    }
    pool_is_full = 1;
    while (!moves_done) {
        sched_yield();
    }
    for (long i = 0; i < check_count(1000); i++) {
        CHECK_EQUAL(create_on_core_0(&threads[count]), EAGAIN);
    }
    check_join(mover);
    may_end = 1;
    for (int i = 0; i < count; i++) {
        CHECK_EQUAL(pthread_kill(threads[i], SIGUSR1), 0);
        check_join(threads[i]);
        seen(GATE_THREAD_EXIT, 0);
    }
    for (long i = 0; i < check_count(1000); i++) {
        check_join(check_thread(nothing, NULL));
        seen(GATE_THREAD_CREATE, 1);
        seen(GATE_THREAD_EXIT, 0);
    }
    check_unpin();
}

/* Takes every frame of the machine by populated pages, in ever smaller pieces; the bytes taken. */
static uint64_t fill_memory(uint64_t at)
{
    uint64_t used = 0;
    for (uint64_t piece = LARGE_PAGE; piece >= PAGE; piece /= 2) {
        while (used + piece <= FILL_BYTES &&
               seen(GATE_MAP, call(GATE_MAP, at + used, piece, GATE_READ, GATE_MAP_POPULATE, 0)) ==
                   0) {
            used += piece;
        }
    }
    CHECK(used < FILL_BYTES);
    return used;
}

/* One lazy entry of 2 MiB: a hole in it asks for a table page. */
static void make_large(uint64_t at)
{
    CHECK_EQUAL(call(GATE_UNMAP, at, LARGE_PAGE, 0, 0, 0), 0);
    CHECK_EQUAL(call(GATE_MAP, at, LARGE_PAGE, GATE_READ, 0, 0), 0);
}

/* Threads that have ended give frames back at any time, and then a call succeeds: the frame is
 * taken, and what was to fail is tried anew. */
static void with_full_memory(void)
{
    if (is_linux()) {
        return;
    }
    uint64_t fill = window(FILL_BYTES);
    uint64_t large = (window(2 * LARGE_PAGE) + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    make_large(large);
    uint64_t used = fill_memory(fill);
    for (long failed = 0; failed < check_count(1000);) {
        if (seen(GATE_MAP, call(GATE_MAP, fill + used, PAGE, GATE_READ, GATE_MAP_POPULATE, 0)) ==
            0) {
            used += PAGE;
            CHECK(used < FILL_BYTES);
        } else if (seen(GATE_UNMAP, call(GATE_UNMAP, large + PAGE, PAGE, 0, 0, 0)) == 0 ||
                   seen(GATE_PROTECT, call(GATE_PROTECT, large + PAGE, PAGE, GATE_READ | GATE_WRITE,
                                           0, 0)) == 0) {
            make_large(large);
        } else {
            failed++;
        }
    }
    CHECK_EQUAL(call(GATE_UNMAP, fill, FILL_BYTES, 0, 0, 0), 0);
    CHECK_EQUAL(call(GATE_UNMAP, large + PAGE, PAGE, 0, 0, 0), 0);
    CHECK_EQUAL(call(GATE_UNMAP, large, LARGE_PAGE, 0, 0, 0), 0);
}

/* Standard input has one byte and stays open. */
static void with_open_console(void)
{
    static char byte;
    if (is_linux()) {
        return;
    }
    check_pin(0);
    while (call(GATE_CONSOLE, GATE_CONSOLE_LISTEN, 0, 0, 0, 0) == -EAGAIN) {
        sched_yield(); /* it is still on its way */
    }
    for (long i = 0; i < check_count(1000); i++) {
        expect(GATE_CONSOLE, call(GATE_CONSOLE, GATE_CONSOLE_POLL, 0, 0, 0, 0), 1);
    }
    expect(GATE_CONSOLE, call(GATE_CONSOLE, GATE_CONSOLE_READ, 0, (uintptr_t)&byte, 1, 0), 1);
    CHECK_EQUAL(byte, 'x');
    for (long i = 0; i < check_count(1000); i++) {
        expect(GATE_CONSOLE, call(GATE_CONSOLE, GATE_CONSOLE_READ, 0, (uintptr_t)&byte, 1, 0),
               -EAGAIN);
    }
}

static int is_left_out(unsigned number, int kind)
{
    int is_of_cores = kind > 0 && definitions[number].errors[kind - 1] == EXDEV;
    return (number == GATE_EXIT && kind == 0) || (is_of_cores && check_all_cores_count == 1) ||
           (number == GATE_KICK && kind != 1) ||
           (number == GATE_INFORMATION && kind > 0 &&
            definitions[number].errors[kind - 1] == EPERM);
}

static void every_result_was_seen(void)
{
    if (is_linux()) {
        return;
    }
    for (unsigned number = 0; number < GATE_CALL_COUNT; number++) {
        for (int kind = 0;
             kind == 0 || (kind <= ERRNO_KINDS && definitions[number].errors[kind - 1] != 0);
             kind++) {
            CHECK(is_left_out(number, kind) ||
                  results[number][kind] >= (uint64_t)check_count(1000));
        }
    }
    check_audits(0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"find_gate", find_gate},
                                              {"from_all_cores", from_all_cores},
                                              {"with_full_thread_pool", with_full_thread_pool},
                                              {"with_full_memory", with_full_memory},
                                              {"with_open_console", with_open_console},
                                              {"every_result_was_seen", every_result_was_seen}};
    int status = CHECK_MAIN(cases);
    print_table();
    return status;
}
