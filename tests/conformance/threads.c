/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: values through create and join, detached threads, many at once, stack sizes,
 * thread-local variables, thread ids, and that threads pinned to every core really run there (the
 * last case prints the number of distinct cores). Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0001~1
 *   ATL-LLR-GATE-0021~1 ATL-LLR-GATE-0022~1 ATL-LLR-GATE-0023~2 */
#include "check.h"
#include <stdint.h>
#include <sys/syscall.h>

#define THREADS 64

static _Thread_local long local_value = 41;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int arrived, released;
static long tids[THREADS];

static void *add_one(void *argument)
{
    return (void *)((uintptr_t)argument + 1);
}

static void join_values(void)
{
    for (uintptr_t i = 0; i < 100; i++) {
        CHECK_EQUAL((uintptr_t)check_join(check_thread(add_one, (void *)i)), i + 1);
    }
}

static void *exit_early(void *argument)
{
    pthread_exit((void *)((uintptr_t)argument * 2));
}

static void exit_values(void)
{
    CHECK_EQUAL((uintptr_t)check_join(check_thread(exit_early, (void *)21)), 42);
}

/* Stays until released, so that all threads live at the same time. */
static void *arrive_and_wait(void *argument)
{
    long index = (long)(uintptr_t)argument;
    tids[index] = syscall(SYS_gettid);
    local_value += index;
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_broadcast(&changed);
    while (!released) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    return (void *)local_value;
}

static void wait_for_arrivals(int count)
{
    pthread_mutex_lock(&lock);
    while (arrived < count) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void release_all(void)
{
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void many_at_once(void)
{
    pthread_t threads[THREADS];
    arrived = released = 0;
    for (long i = 0; i < THREADS; i++) {
        threads[i] = check_thread(arrive_and_wait, (void *)i);
    }
    wait_for_arrivals(THREADS);
    for (int i = 0; i < THREADS; i++) {
        CHECK(tids[i] > 0 && tids[i] != getpid());
        for (int j = 0; j < i; j++) {
            CHECK(tids[i] != tids[j]);
            CHECK(!pthread_equal(threads[i], threads[j]));
        }
    }
    release_all();
    for (long i = 0; i < THREADS; i++) {
        CHECK_EQUAL((long)check_join(threads[i]), 41 + i);
    }
    CHECK_EQUAL(local_value, 41);
}

static void *detached_body(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&lock);
    arrived++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void detached(void)
{
    pthread_attr_t attributes;
    arrived = 0;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    for (int i = 0; i < 32; i++) {
        pthread_t thread;
        if (i % 2 == 0) {
            CHECK_EQUAL(pthread_create(&thread, &attributes, detached_body, NULL), 0);
        } else {
            CHECK_EQUAL(pthread_detach(check_thread(detached_body, NULL)), 0);
        }
    }
    CHECK_EQUAL(pthread_attr_destroy(&attributes), 0);
    wait_for_arrivals(32);
    CHECK_EQUAL(arrived, 32);
}

/* Touches `bytes` of its own stack, page by page downwards. */
static void *use_stack(void *argument)
{
    size_t bytes = (size_t)argument;
    volatile unsigned char *area = __builtin_alloca(bytes);
    for (size_t i = bytes; i > 4096; i -= 4096) {
        area[i - 1] = (unsigned char)(i >> 12);
    }
    unsigned long sum = 0;
    for (size_t i = bytes; i > 4096; i -= 4096) {
        sum += area[i - 1] == (unsigned char)(i >> 12);
    }
    return (void *)sum;
}

static void stack_sizes(void)
{
    static const size_t sizes[] = {64 << 10, 256 << 10, 1 << 20, 16 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        size_t size = 0, used = sizes[i] - (32 << 10);
        CHECK_EQUAL(pthread_attr_init(&attributes), 0);
        CHECK_EQUAL(pthread_attr_setstacksize(&attributes, sizes[i]), 0);
        CHECK_EQUAL(pthread_attr_getstacksize(&attributes, &size), 0);
        CHECK_EQUAL(size, sizes[i]);
        CHECK_EQUAL(pthread_create(&thread, &attributes, use_stack, (void *)used), 0);
        CHECK_EQUAL((unsigned long)check_join(thread), (used - 1) / 4096);
        pthread_attr_destroy(&attributes);
    }
}

static void attribute_errors(void)
{
    pthread_attr_t attributes;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, 1), EINVAL);
    CHECK_EQUAL(pthread_attr_setdetachstate(&attributes, 99), EINVAL);
    CHECK_EQUAL(pthread_attr_destroy(&attributes), 0);
}

static void *report_core(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    int expected = check_all_cores[(uintptr_t)argument % (size_t)check_all_cores_count];
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(sched_getcpu(), expected);
        sched_yield();
    }
    return (void *)(uintptr_t)expected;
}

static void every_core(void)
{
    pthread_t threads[2 * CHECK_CORES_MAX];
    int seen[CHECK_CORES_MAX] = {0}, distinct = 0;
    for (long i = 0; i < 2 * check_all_cores_count; i++) {
        threads[i] = check_thread(report_core, (void *)i);
    }
    for (int i = 0; i < 2 * check_all_cores_count; i++) {
        int core = (int)(uintptr_t)check_join(threads[i]);
        distinct += seen[core]++ == 0;
    }
    CHECK_EQUAL(distinct, check_all_cores_count);
    CHECK_EQUAL(distinct, sysconf(_SC_NPROCESSORS_ONLN));
    printf("cores %d\n", distinct);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"join_values", join_values},   {"exit_values", exit_values},
        {"many_at_once", many_at_once}, {"detached", detached},
        {"stack_sizes", stack_sizes},   {"attribute_errors", attribute_errors},
        {"every_core", every_core},
    };
    return CHECK_MAIN(cases);
}
