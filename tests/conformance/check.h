/* SPDX-License-Identifier: Apache-2.0 */
/* What every conformance program shares: named cases, checks that say where they failed, options.
 *
 * A program lists its cases and calls check_main. Each passed case prints `ok <case>`, the whole
 * run `all ok` and returns 0; the first failed check prints one `FAIL` line and ends with status 1.
 * Options: --count N scales the work, --only CASE runs one case, --list names the cases,
 * --file PATH hands a file to the program, --break CASE inverts the first check of that case, so
 * that the harness can see every case fail, and --refuse KIND:N has the build with hooks refuse the
 * N-th allocation of a kind (system/hooks/refuse.h). Compiles as C and C++, with musl and glibc.
 */
#ifndef CONFORMANCE_CHECK_H
#define CONFORMANCE_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../system/hooks/refuse.h"

#define CHECK_CORES_MAX 64

struct check_case {
    const char *name;
    void (*run)(void);
};

static struct check_state {
    const char *only, *broken, *file, *case_name;
    long count;
    int break_next; /* the next check is inverted; taken by exactly one thread */
    int refuse_kind;
    unsigned long refuse;
} check_state;

__attribute__((noreturn, unused)) static void
check_fail(const char *text, const char *file, int line, long long actual, long long expected)
{
    int error = errno;
    const char *base = strrchr(file, '/');
    char message[512];
    int bytes =
        snprintf(message, sizeof(message), "FAIL %s %s:%d: %s (is %lld, expected %lld, errno %d)\n",
                 check_state.case_name ? check_state.case_name : "start", base ? base + 1 : file,
                 line, text, actual, expected, error);
    fflush(stdout);
    if (write(STDOUT_FILENO, message, (size_t)bytes) < 0) {
        _exit(2);
    }
    _exit(1);
}

__attribute__((unused)) static void check_that(int holds, const char *text, const char *file,
                                               int line, long long actual, long long expected)
{
    if (__atomic_load_n(&check_state.break_next, __ATOMIC_RELAXED) != 0 &&
        __atomic_exchange_n(&check_state.break_next, 0, __ATOMIC_RELAXED) != 0) {
        holds = !holds;
    }
    if (!holds) {
        check_fail(text, file, line, actual, expected);
    }
}

/* Each evaluates its arguments once; usable from every thread and from signal handlers. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        int check_value_ = !!(condition);                                                          \
        check_that(check_value_, #condition, __FILE__, __LINE__, check_value_, 1);                 \
    } while (0)
#define CHECK_EQUAL(actual, expected)                                                              \
    do {                                                                                           \
        long long check_actual_ = (long long)(actual), check_expected_ = (long long)(expected);    \
        check_that(check_actual_ == check_expected_, #actual " == " #expected, __FILE__, __LINE__, \
                   check_actual_, check_expected_);                                                \
    } while (0)
#define CHECK_ERRNO(call, error)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long check_result_ = (long long)(call);                                               \
        int check_errno_ = errno;                                                                  \
        check_that(check_result_ == -1 && check_errno_ == (error), #call " fails with " #error,    \
                   __FILE__, __LINE__, check_result_ == -1 ? check_errno_ : 0, (error));           \
    } while (0)

__attribute__((unused)) static long check_count(long normal)
{
    return check_state.count > 0 ? check_state.count : normal;
}

/* The cores that this process may use; fills cores[] with their numbers if it is not NULL. */
__attribute__((unused)) static int check_cores(int *cores)
{
    cpu_set_t set;
    int count = 0;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        check_fail("sched_getaffinity", __FILE__, __LINE__, -1, 0);
    }
    for (int core = 0; core < CHECK_CORES_MAX; core++) {
        if (CPU_ISSET(core, &set)) {
            if (cores != NULL) {
                cores[count] = core;
            }
            count++;
        }
    }
    return count;
}

/* The same, counted once before any thread is pinned (a thread inherits its creator's mask). */
static int check_all_cores[CHECK_CORES_MAX], check_all_cores_count;

/* Pins the calling thread to the index-th allowed core (modulo their number). */
__attribute__((unused)) static void check_pin(int index)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(check_all_cores[index % check_all_cores_count], &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
        check_fail("pthread_setaffinity_np", __FILE__, __LINE__, -1, 0);
    }
}

__attribute__((unused)) static void check_unpin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < check_all_cores_count; i++) {
        CPU_SET(check_all_cores[i], &set);
    }
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
        check_fail("pthread_setaffinity_np", __FILE__, __LINE__, -1, 0);
    }
}

__attribute__((unused)) static long long check_now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* An absolute time `ns` from now on a clock. */
__attribute__((unused)) static struct timespec check_after_ns(clockid_t clock, long long ns)
{
    long long at = check_now_ns(clock) + ns;
    struct timespec result;
    result.tv_sec = (time_t)(at / 1000000000LL);
    result.tv_nsec = (long)(at % 1000000000LL);
    return result;
}

__attribute__((unused)) static void check_sleep_ms(long ms)
{
    struct timespec rest;
    rest.tv_sec = ms / 1000;
    rest.tv_nsec = (ms % 1000) * 1000000L;
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
    }
}

/* xorshift64*: the programs' deterministic pseudo-random numbers. State must not be 0. */
__attribute__((unused)) static unsigned long long check_random(unsigned long long *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

__attribute__((unused)) static pthread_t check_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    if (error != 0) {
        check_fail("pthread_create", __FILE__, __LINE__, error, 0);
    }
    return thread;
}

__attribute__((unused)) static void *check_join(pthread_t thread)
{
    void *value = NULL;
    int error = pthread_join(thread, &value);
    if (error != 0) {
        check_fail("pthread_join", __FILE__, __LINE__, error, 0);
    }
    return value;
}

__attribute__((unused)) static void check_options(int argc, char **argv,
                                                  const struct check_case *cases, int case_count)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--list") == 0) {
            for (int c = 0; c < case_count; c++) {
                puts(cases[c].name);
            }
            exit(0);
        }
        if (value == NULL) {
            fprintf(stderr, "%s: option %s is unknown or needs a value\n", argv[0], argv[i]);
            exit(2);
        } else if (strcmp(argv[i], "--count") == 0) {
            check_state.count = atol(value);
        } else if (strcmp(argv[i], "--only") == 0) {
            check_state.only = value;
        } else if (strcmp(argv[i], "--break") == 0) {
            check_state.broken = value;
        } else if (strcmp(argv[i], "--refuse") == 0) {
            check_state.refuse_kind = atoi(value);
            check_state.refuse = strtoul(strchr(value, ':') + 1, NULL, 10);
        } else if (strcmp(argv[i], "--file") == 0) {
            check_state.file = value;
        } else {
            fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
            exit(2);
        }
        i++;
    }
}

/* Runs the cases in order; the return value is main's. */
__attribute__((unused)) static int check_main(int argc, char **argv, const struct check_case *cases,
                                              int case_count)
{
    check_options(argc, argv, cases, case_count);
    check_all_cores_count = check_cores(check_all_cores);
    if (check_state.refuse != 0) {
        prctl(REFUSE_CONTROL, check_state.refuse_kind, check_state.refuse);
    }
    for (int c = 0; c < case_count; c++) {
        if (check_state.only != NULL && strcmp(check_state.only, cases[c].name) != 0) {
            continue;
        }
        check_state.case_name = cases[c].name;
        check_state.break_next =
            check_state.broken != NULL && strcmp(check_state.broken, cases[c].name) == 0;
        cases[c].run();
        printf("ok %s\n", cases[c].name);
        fflush(stdout);
    }
    check_state.case_name = NULL;
    if (check_state.refuse != 0 && prctl(REFUSE_CONTROL, check_state.refuse_kind, 0) != 0) {
        puts("nothing was refused");
    }
    puts("all ok");
    fflush(stdout);
    return 0;
}

#define CHECK_MAIN(cases) check_main(argc, argv, (cases), (int)(sizeof(cases) / sizeof((cases)[0])))

#endif
