/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and the calls that block in them: data between cores, end of file, EPIPE, cancellation of a
 * blocked read, EINTR and SA_RESTART. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0007~1 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>

static int ends[2];
static volatile sig_atomic_t handled;
static volatile long read_result, read_error;

static void count(int signal)
{
    (void)signal;
    handled++;
}

static void install(int signal, int flags)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    handled = 0;
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

static void close_both(void)
{
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void ends_and_errors(void)
{
    char byte;
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
    CHECK_ERRNO(read(ends[0], &byte, 1), EAGAIN);
    CHECK_ERRNO(read(ends[1], &byte, 1), EBADF);
    CHECK_ERRNO(write(ends[0], "x", 1), EBADF);
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_EQUAL(write(ends[1], "ab", 2), 2);
    CHECK_EQUAL(read(ends[0], &byte, 1), 1);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(read(ends[0], &byte, 1), 1); /* what was written is still there */
    CHECK_EQUAL(read(ends[0], &byte, 1), 0); /* then the end */
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    install(SIGPIPE, 0);
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void *produce(void *argument)
{
    unsigned long long random = 5;
    check_pin(1);
    for (long i = 0; i < check_count(2000); i++) {
        uint64_t values[16];
        for (int v = 0; v < 16; v++) {
            values[v] = check_random(&random);
        }
        CHECK_EQUAL(write(ends[1], values, sizeof(values)), sizeof(values));
    }
    CHECK_EQUAL(close(ends[1]), 0);
    return argument;
}

static void between_cores(void)
{
    unsigned long long random = 5;
    long total = 0;
    uint64_t value;
    check_pin(0);
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t thread = check_thread(produce, NULL);
    for (ssize_t got; (got = read(ends[0], &value, sizeof(value))) != 0; total++) {
        CHECK_EQUAL(got, sizeof(value));
        CHECK_EQUAL(value, check_random(&random));
    }
    check_join(thread);
    CHECK_EQUAL(total, 16 * check_count(2000));
    CHECK_EQUAL(close(ends[0]), 0);
    check_unpin();
}

static void *read_byte(void *argument)
{
    char byte;
    check_pin(1);
    read_result = read(ends[0], &byte, 1);
    read_error = errno;
    return argument;
}

static void interrupt_read(int flags, long result)
{
    CHECK_EQUAL(pipe(ends), 0);
    install(SIGUSR1, flags);
    pthread_t thread = check_thread(read_byte, NULL);
    check_sleep_ms(30);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    check_sleep_ms(30);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    check_join(thread);
    CHECK_EQUAL(read_result, result);
    CHECK(result >= 0 || read_error == EINTR);
    close_both();
}

static void interrupted_read(void)
{
    interrupt_read(0, -1);
    interrupt_read(SA_RESTART, 1);
}

static void cancelled_read(void)
{
    CHECK_EQUAL(pipe(ends), 0);
    for (int i = 0; i < 5; i++) {
        pthread_t thread = check_thread(read_byte, NULL);
        check_sleep_ms(i * 5);
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
    }
    close_both();
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"ends_and_errors", ends_and_errors},
                                              {"between_cores", between_cores},
                                              {"interrupted_read", interrupted_read},
                                              {"cancelled_read", cancelled_read}};
    return CHECK_MAIN(cases);
}
