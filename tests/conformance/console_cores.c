/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of every core use the console: they read what comes in order, wait for input until a
 * signal or a cancellation comes, and write all of what they write.
 *
 * @verifies ATL-HLR-CONF-0910~1 ATL-LLR-FILE-1100~1 */
#include "check.h"
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#define OUTPUT_BYTES 10000 /* more than one call of the gate takes */

static const char expected[] = "what the threads of all cores read one after the other";
static size_t at;
static _Atomic int is_over;
static void *volatile nowhere = (void *)8;

static void on_every_core(void *(*run)(void *))
{
    for (int i = 0; i < check_all_cores_count; i++) {
        check_join(check_thread(run, (void *)(uintptr_t)i));
    }
}

/* More than the words of a message, into a buffer that nobody has touched. */
static void *read_share(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    size_t share = (sizeof(expected) - 1) / (size_t)check_all_cores_count;
    char *buffer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(buffer != MAP_FAILED);
    size_t rest =
        (int)(uintptr_t)argument == check_all_cores_count - 1 ? sizeof(expected) - 1 - at : share;
    while (rest != 0) {
        struct pollfd one = {STDIN_FILENO, POLLIN, 0};
        CHECK_EQUAL(poll(&one, 1, -1), 1);
        ssize_t got = read(STDIN_FILENO, buffer, rest);
        CHECK(got > 0);
        CHECK(memcmp(buffer, expected + at, (size_t)got) == 0);
        at += (size_t)got;
        rest -= (size_t)got;
    }
    CHECK_EQUAL(munmap(buffer, 4096), 0);
    return NULL;
}

static void all_cores_read(void)
{
    on_every_core(read_share);
    CHECK_EQUAL(at, sizeof(expected) - 1);
}

static void *find_nothing(void *argument)
{
    struct pollfd one = {STDIN_FILENO, POLLIN, 0};
    check_pin((int)(uintptr_t)argument);
    CHECK_EQUAL(poll(&one, 1, 1), 0);
    errno = 0;
    CHECK(read(STDIN_FILENO, NULL, 0) == 0);
    return NULL;
}

static void poll_times_out(void)
{
    on_every_core(find_nothing);
}

static void handle(int signal)
{
    (void)signal;
}

static void *wait_for_signal(void *argument)
{
    char byte;
    check_pin((int)(uintptr_t)argument);
    CHECK_EQUAL(read(STDIN_FILENO, &byte, 1), -1);
    CHECK_EQUAL(errno, EINTR);
    is_over = 1;
    return NULL;
}

static void a_signal_ends_a_read(void)
{
    struct sigaction action = {.sa_handler = handle};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < check_all_cores_count; i++) {
        is_over = 0;
        pthread_t thread = check_thread(wait_for_signal, (void *)(uintptr_t)i);
        while (is_over == 0) { /* one that comes before the read ends nothing */
            pthread_kill(thread, SIGUSR1);
            sched_yield();
        }
        check_join(thread);
    }
}

static void *wait_for_cancellation(void *argument)
{
    char byte;
    check_pin((int)(uintptr_t)argument);
    (void)!read(STDIN_FILENO, &byte, 1);
    return NULL;
}

static void a_read_is_cancelled(void)
{
    for (int i = 0; i < check_all_cores_count; i++) {
        void *result = NULL;
        pthread_t thread = check_thread(wait_for_cancellation, (void *)(uintptr_t)i);
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK_EQUAL(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
    }
}

static void *write_much(void *argument)
{
    char line[OUTPUT_BYTES];
    check_pin((int)(uintptr_t)argument);
    memset(line, 'a' + (int)(uintptr_t)argument, sizeof(line));
    line[sizeof(line) - 1] = '\n';
    CHECK_EQUAL(write(STDERR_FILENO, line, sizeof(line)), sizeof(line));
    CHECK_EQUAL(write(STDERR_FILENO, nowhere, 1), -1);
    CHECK_EQUAL(errno, EFAULT);
    return NULL;
}

static void all_cores_write(void)
{
    on_every_core(write_much);
}

#define IDLE_WRITERS 100
static _Atomic int writers_begun, may_end;

static void *write_at_leisure(void *argument)
{
    char line[4096] = {0}; /* what one call of the gate takes */
    struct sched_param none = {0};
    (void)argument;
    CHECK_EQUAL(pthread_setschedparam(pthread_self(), SCHED_IDLE, &none), 0);
    for (writers_begun++; may_end == 0;) {
        CHECK_EQUAL(write(STDERR_FILENO, line, sizeof(line)), sizeof(line));
    }
    return NULL;
}

static void *write_and_tell(void *argument)
{
    for (int i = 0; i < 8; i++) {
        write_much(argument);
    }
    may_end = 1;
    return NULL;
}

/* Threads that have found no room on core 0 and are not let run again there. */
static void a_writer_that_cannot_run_holds_up_nobody(void)
{
    if (check_all_cores_count == 1) {
        return;
    }
    check_pin(0);
    pthread_t idle[IDLE_WRITERS];
    for (int i = 0; i < IDLE_WRITERS; i++) {
        idle[i] = check_thread(write_at_leisure, NULL);
    }
    while (writers_begun != IDLE_WRITERS) {
        usleep(1000);
    }
    pthread_t other = check_thread(write_and_tell, (void *)1);
    while (may_end == 0) {
    }
    check_join(other);
    for (int i = 0; i < IDLE_WRITERS; i++) {
        check_join(idle[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"all_cores_read", all_cores_read},
        {"poll_times_out", poll_times_out},
        {"a_signal_ends_a_read", a_signal_ends_a_read},
        {"a_read_is_cancelled", a_read_is_cancelled},
        {"all_cores_write", all_cores_write},
        {"a_writer_that_cannot_run_holds_up_nobody", a_writer_that_cannot_run_holds_up_nobody},
    };
    return CHECK_MAIN(cases);
}
