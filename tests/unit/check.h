/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions and a main function for hosted C tests. One executable for each *_test.c; its ctest
 * name is the file's stem. A failed check prints file, line and values, and the program goes on
 * with the next test and ends with status 1.
 *
 *     TEST(send_fails_when_full) { CHECK_EQUAL(percpu_channel_request(...), RESULT_AGAIN); }
 *     CHECK_MAIN()
 *
 * A tag such as "@verifies <id>~<rev>" stands in a comment directly above TEST.
 *
 * Included once, by the file that has CHECK_MAIN; needs a hosted C library. A test that must stop
 * (ASSERT, abort) runs in a child process: CHECK_ABORTS. */
#ifndef TESTS_UNIT_CHECK_H
#define TESTS_UNIT_CHECK_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_TESTS_MAX 512u

struct check_test {
    const char *name;
    void (*run)(void);
};

static struct check_test check_tests[CHECK_TESTS_MAX];
static unsigned check_test_count;
static jmp_buf check_leave;

/* Defines and registers a test; tests run in the order of the file. */
#define TEST(name_)                                                                                \
    static void name_(void);                                                                       \
    __attribute__((constructor)) static void check_register_##name_(void)                          \
    {                                                                                              \
        check_register(#name_, name_);                                                             \
    }                                                                                              \
    static void name_(void)

/* Ends the current test, not the program. */
#define CHECK(condition_)                                                                          \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            check_fail(__FILE__, __LINE__, #condition_);                                           \
        }                                                                                          \
    } while (0)

/* Compares integers of any width and enumerations; prints both. */
#define CHECK_EQUAL(actual_, expected_)                                                            \
    check_equal(__FILE__, __LINE__, #actual_ " == " #expected_, (long long)(actual_),              \
                (long long)(expected_))

/* Compares NUL-terminated strings; NULL equals only NULL. */
#define CHECK_STRING(actual_, expected_)                                                           \
    check_string(__FILE__, __LINE__, #actual_, (actual_), (expected_))

/* Compares bytes; prints the first offset that differs. */
#define CHECK_BYTES(actual_, expected_, bytes_)                                                    \
    check_bytes(__FILE__, __LINE__, #actual_, (actual_), (expected_), (bytes_))

/* The statement must end its process by a signal or a non-zero status; runs in a child. */
#define CHECK_ABORTS(statement_)                                                                   \
    do {                                                                                           \
        fflush(NULL);                                                                              \
        pid_t check_child_ = fork();                                                               \
        CHECK(check_child_ >= 0);                                                                  \
        if (check_child_ == 0) {                                                                   \
            check_silence();                                                                       \
            statement_;                                                                            \
            _exit(0);                                                                              \
        }                                                                                          \
        int check_status_ = 0;                                                                     \
        CHECK(waitpid(check_child_, &check_status_, 0) == check_child_);                           \
        CHECK(check_status_ != 0);                                                                 \
    } while (0)

#define CHECK_MAIN()                                                                               \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return check_run(argc > 1 ? argv[1] : NULL);                                               \
    }

__attribute__((unused)) static void check_register(const char *name, void (*run)(void))
{
    if (check_test_count == CHECK_TESTS_MAX) {
        fprintf(stderr, "check.h: more than %u tests in one file\n", CHECK_TESTS_MAX);
        abort();
    }
    check_tests[check_test_count++] = (struct check_test){name, run};
}

__attribute__((__noreturn__, unused)) static void check_fail(const char *file, int line,
                                                             const char *what)
{
    printf("%s:%d: check failed: %s\n", file, line, what);
    longjmp(check_leave, 1);
}

__attribute__((unused)) static void check_equal(const char *file, int line, const char *what,
                                                long long actual, long long expected)
{
    if (actual != expected) {
        printf("%s:%d: %lld (0x%llx), expected %lld (0x%llx)\n", file, line, actual,
               (unsigned long long)actual, expected, (unsigned long long)expected);
        check_fail(file, line, what);
    }
}

__attribute__((unused)) static void check_string(const char *file, int line, const char *what,
                                                 const char *actual, const char *expected)
{
    if (actual == expected) {
        return;
    }
    if (actual == NULL || expected == NULL || strcmp(actual, expected) != 0) {
        printf("%s:%d: \"%s\", expected \"%s\"\n", file, line, actual ? actual : "(null)",
               expected ? expected : "(null)");
        check_fail(file, line, what);
    }
}

__attribute__((unused)) static void check_bytes(const char *file, int line, const char *what,
                                                const void *actual, const void *expected,
                                                size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned a = ((const unsigned char *)actual)[i];
        unsigned e = ((const unsigned char *)expected)[i];
        if (a != e) {
            printf("%s:%d: byte %zu is 0x%02x, expected 0x%02x\n", file, line, i, a, e);
            check_fail(file, line, what);
        }
    }
}

/* A child that is meant to stop prints nothing. */
__attribute__((unused)) static void check_silence(void)
{
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL) {
        _exit(0);
    }
}

__attribute__((unused, noinline)) static bool check_run_one(const struct check_test *test)
{
    if (setjmp(check_leave) != 0) {
        return false;
    }
    test->run();
    return true;
}

/* Runs all tests, or the one that is named. */
__attribute__((unused)) static int check_run(const char *only)
{
    unsigned failed = 0;
    unsigned ran = 0;
    for (unsigned i = 0; i < check_test_count; i++) {
        if (only != NULL && strcmp(only, check_tests[i].name) != 0) {
            continue;
        }
        ran++;
        bool passed = check_run_one(&check_tests[i]);
        failed += !passed;
        printf("%s %s\n", passed ? "PASS" : "FAIL", check_tests[i].name);
        fflush(stdout);
    }
    printf("%u tests, %u failed\n", ran, failed);
    return failed != 0 || ran == 0;
}

#endif
