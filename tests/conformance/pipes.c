/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes and the calls that block in them: data between cores, end of file, EPIPE, atomic writes,
 * sizes, faults, cancellation of a blocked read, EINTR and SA_RESTART. Fault injection: --break
 * CASE.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0002~1 ATL-LLR-EVENT-0003~1 ATL-LLR-EVENT-0004~1
 * ATL-LLR-EVENT-0005~1 */
#include "../waiting.h"

#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PIPE_BYTES 65536
#define PAGE 4096

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
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    while (handled == 0) {
        sched_yield();
    }
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
        threads_await_waiting(i % 2); /* or perhaps before it waits */
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
    }
    close_both();
}

/* Fills a non-blocking pipe in steps; returns the bytes that it took. */
static long fill(int descriptor, size_t step)
{
    static char bytes[PIPE_BYTES];
    long total = 0;
    for (ssize_t done; (done = write(descriptor, bytes, step)) > 0;) {
        total += done;
    }
    CHECK_EQUAL(errno, EAGAIN);
    return total;
}

static void capacity(void)
{
    static char bytes[2 * PIPE_BYTES];
    int count;
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQUAL(fcntl(ends[0], F_GETPIPE_SZ), PIPE_BYTES);
    CHECK_EQUAL(fill(ends[1], PAGE), PIPE_BYTES);
    CHECK_EQUAL(ioctl(ends[0], FIONREAD, &count), 0);
    CHECK_EQUAL(count, PIPE_BYTES);
    CHECK_EQUAL(read(ends[0], bytes, PAGE - 1), PAGE - 1);
    CHECK_ERRNO(write(ends[1], bytes, PAGE), EAGAIN); /* all of a page or nothing */
    CHECK_EQUAL(read(ends[0], bytes, 1), 1);
    CHECK_EQUAL(write(ends[1], bytes, PAGE), PAGE);
    CHECK_EQUAL(read(ends[0], bytes, sizeof(bytes)), PIPE_BYTES);
    CHECK_EQUAL(write(ends[1], bytes, sizeof(bytes)), PIPE_BYTES); /* more than fits: a part */
    CHECK_EQUAL(read(ends[0], bytes, sizeof(bytes)), PIPE_BYTES);
    CHECK_EQUAL(fill(ends[1], 1), PIPE_BYTES);
    close_both();
}

static void resize(void)
{
    char bytes[3 * PAGE], got[3 * PAGE];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 7 + i / 256);
    }
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQUAL(write(ends[1], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(read(ends[0], got, 100), 100);
    CHECK_ERRNO(fcntl(ends[0], F_SETPIPE_SZ, PAGE), EBUSY);
    CHECK_EQUAL(fcntl(ends[1], F_SETPIPE_SZ, 3 * PAGE + 1), 4 * PAGE);
    CHECK_EQUAL(fcntl(ends[0], F_GETPIPE_SZ), 4 * PAGE);
    CHECK_EQUAL(write(ends[1], bytes, 10), 10);
    CHECK_EQUAL(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    CHECK_EQUAL(read(ends[0], got + 100, sizeof(got) - 100), sizeof(got) - 100);
    CHECK(memcmp(bytes, got, sizeof(bytes)) == 0);
    CHECK_EQUAL(read(ends[0], got, sizeof(got)), 10);
    CHECK(memcmp(bytes, got, 10) == 0);
    CHECK_EQUAL(fcntl(ends[1], F_SETPIPE_SZ, 1), PAGE);
    CHECK_EQUAL(fill(ends[1], PAGE), PAGE);
    CHECK_ERRNO(fcntl(STDERR_FILENO + 100, F_GETPIPE_SZ), EBADF);
    close_both();
}

static void flags_and_stat(void)
{
    struct stat first, second;
    int other[2];
    CHECK_EQUAL(pipe2(ends, O_CLOEXEC), 0);
    CHECK_EQUAL(fcntl(ends[0], F_GETFL), O_RDONLY);
    CHECK_EQUAL(fcntl(ends[1], F_GETFL), O_WRONLY);
    CHECK_EQUAL(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQUAL(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_EQUAL(fcntl(ends[1], F_GETFL), O_WRONLY); /* each end has its own */
    CHECK_EQUAL(pipe(other), 0);
    CHECK_EQUAL(fcntl(other[0], F_GETFD), 0);
    CHECK_EQUAL(fstat(ends[0], &first), 0);
    CHECK_EQUAL(first.st_mode, S_IFIFO | 0600);
    char path[64], link[64] = "", wanted[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
    snprintf(wanted, sizeof(wanted), "pipe:[%lu]", (unsigned long)first.st_ino);
    CHECK_EQUAL(readlink(path, link, sizeof(link) - 1), strlen(wanted));
    CHECK(strcmp(link, wanted) == 0);
    CHECK_EQUAL(fstat(ends[1], &second), 0);
    CHECK_EQUAL(first.st_ino, second.st_ino);
    CHECK_EQUAL(fstat(other[0], &second), 0);
    CHECK(first.st_ino != second.st_ino);
    CHECK_EQUAL(close(other[0]), 0);
    CHECK_EQUAL(close(other[1]), 0);
    close_both();
    CHECK_ERRNO(pipe2(ends, O_APPEND), EINVAL);
    CHECK_ERRNO(syscall(SYS_pipe2, 16, 0), EFAULT);
    CHECK_EQUAL(dup(0), ends[0]); /* the failed calls left nothing open */
    CHECK_EQUAL(close(ends[0]), 0);
}

static void faults(void)
{
    char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char text[8];
    struct iovec halves[2] = {{text, 4}, {page, 4}};
    CHECK(page != MAP_FAILED);
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
    CHECK_ERRNO(write(ends[1], page, 4), EFAULT);
    CHECK_EQUAL(write(ends[1], "12345678", 8), 8);
    CHECK_ERRNO(read(ends[0], page, 4), EFAULT);
    CHECK_EQUAL(read(ends[0], text, 2), 2); /* the fault took nothing out */
    CHECK(memcmp(text, "12", 2) == 0);
    halves[1].iov_base = text + 4;
    CHECK_EQUAL(readv(ends[0], halves, 2), 6);
    CHECK(memcmp(text, "345678", 6) == 0);
    CHECK_EQUAL(read(ends[0], text, 0), 0);
    CHECK_EQUAL(write(ends[1], text, 0), 0);
    CHECK_EQUAL(munmap(page, PAGE), 0);
    close_both();
}

/* A page of a file comes when the first byte moves into it, or out of it. */
static void pages_of_a_file(void)
{
    int file = memfd_create("pages", 0);
    char text[8];
    CHECK(file >= 0);
    CHECK_EQUAL(ftruncate(file, 2 * PAGE), 0);
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_EQUAL(pipe2(ends, O_NONBLOCK), 0);
    CHECK_EQUAL(write(ends[1], "12345678", 8), 8);
    CHECK_EQUAL(read(ends[0], pages, 4), 4);
    CHECK(memcmp(pages, "1234", 4) == 0);
    CHECK_ERRNO(read(ends[0], pages + 2 * PAGE, 4), EFAULT); /* behind the end */
    CHECK_EQUAL(write(ends[1], pages + PAGE, 4), 4);
    CHECK_EQUAL(read(ends[0], text, 8), 8);
    CHECK(memcmp(text, "5678\0\0\0\0", 8) == 0);
    CHECK_EQUAL(munmap(pages, 3 * PAGE), 0);
    CHECK_EQUAL(close(file), 0);
    close_both();
}

#define FAR_PAGES 64

/* Downwards, with a page between: no page brings the next. */
static void *read_into_pages(void *pages)
{
    check_pin(1);
    for (int page = FAR_PAGES - 2; page >= 0; page -= 2) {
        CHECK_EQUAL(read(ends[0], (char *)pages + page * PAGE, 4), 4);
    }
    return pages;
}

/* Each page comes from the core that owns the memory, which writes meanwhile. */
static void pages_of_another_core(void)
{
    check_pin(0);
    char *pages =
        mmap(NULL, FAR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t thread = check_thread(read_into_pages, pages);
    for (int page = 0; page < FAR_PAGES; page += 2) {
        CHECK_EQUAL(write(ends[1], "abcd", 4), 4);
    }
    check_join(thread);
    for (int page = 0; page < FAR_PAGES; page += 2) {
        CHECK(memcmp(pages + page * PAGE, "abcd", 4) == 0);
    }
    CHECK_EQUAL(munmap(pages, FAR_PAGES * PAGE), 0);
    close_both();
    check_unpin();
}

/* Each writer's records have one length and are full of its number. */
static void *write_records(void *argument)
{
    char record[PAGE];
    long number = (long)argument;
    size_t bytes = (size_t)(number * 997 % PAGE + 2);
    check_pin((int)number);
    memset(record, (int)number, sizeof(record));
    memcpy(record, &(uint16_t){(uint16_t)bytes}, 2);
    for (long i = 0; i < check_count(500); i++) {
        CHECK_EQUAL(write(ends[1], record, bytes), bytes);
    }
    return argument;
}

static void read_exactly(char *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = read(ends[0], to + done, bytes - done);
        CHECK(got > 0);
        done += (size_t)got;
    }
}

static void atomic_writes(void)
{
    enum { WRITERS = 4 };
    pthread_t threads[WRITERS];
    char record[PAGE];
    long counts[WRITERS + 1] = {0};
    CHECK_EQUAL(pipe(ends), 0);
    for (long i = 0; i < WRITERS; i++) {
        threads[i] = check_thread(write_records, (void *)(i + 1));
    }
    for (long i = 0; i < WRITERS * check_count(500); i++) {
        uint16_t bytes;
        read_exactly(record, 2);
        memcpy(&bytes, record, 2);
        read_exactly(record + 2, (size_t)bytes - 2);
        int number = record[2];
        CHECK(number >= 1 && number <= WRITERS);
        CHECK_EQUAL(bytes, number * 997 % PAGE + 2);
        for (int at = 2; at < bytes; at++) {
            if (record[at] != number) {
                CHECK_EQUAL(record[at], number);
            }
        }
        counts[number]++;
    }
    for (int i = 0; i < WRITERS; i++) {
        check_join(threads[i]);
        CHECK_EQUAL(counts[i + 1], check_count(500));
    }
    close_both();
}

/* Several readers and writers on all cores: every byte arrives once. */
static _Atomic unsigned long long sum_written, sum_read;

static void *write_noise(void *argument)
{
    unsigned long long random = (unsigned long long)(long)argument;
    unsigned char bytes[9000];
    check_pin((int)(long)argument);
    for (long i = 0; i < check_count(500) / 4; i++) {
        size_t count = check_random(&random) % sizeof(bytes) + 1;
        for (size_t k = 0; k < count; k++) {
            bytes[k] = (unsigned char)check_random(&random);
            sum_written += bytes[k];
        }
        CHECK_EQUAL(write(ends[1], bytes, count), count);
    }
    return argument;
}

static void *read_noise(void *argument)
{
    unsigned long long random = (unsigned long long)(long)argument + 77;
    unsigned char bytes[9000];
    check_pin((int)(long)argument);
    for (;;) {
        ssize_t got = read(ends[0], bytes, check_random(&random) % sizeof(bytes) + 1);
        if (got == 0) {
            return argument;
        }
        CHECK(got > 0);
        for (ssize_t k = 0; k < got; k++) {
            sum_read += bytes[k];
        }
    }
}

static void many_to_many(void)
{
    pthread_t writers[3], readers[3];
    CHECK_EQUAL(pipe(ends), 0);
    for (long i = 0; i < 3; i++) {
        writers[i] = check_thread(write_noise, (void *)(i + 1));
        readers[i] = check_thread(read_noise, (void *)(i + 2));
    }
    for (int i = 0; i < 3; i++) {
        check_join(writers[i]);
    }
    CHECK_EQUAL(close(ends[1]), 0); /* wakes all readers with the end of file */
    for (int i = 0; i < 3; i++) {
        check_join(readers[i]);
    }
    CHECK_EQUAL(sum_read, sum_written);
    CHECK_EQUAL(close(ends[0]), 0);
}

static void *fill_blocking(void *argument)
{
    static char bytes[PIPE_BYTES + 1];
    check_pin(1);
    read_result = write(ends[1], bytes, sizeof(bytes));
    read_error = errno;
    return argument;
}

/* A writer that waits for room: a part on a signal, EPIPE when the last reader goes. */
static void blocked_write(void)
{
    install(SIGPIPE, 0);
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t thread = check_thread(fill_blocking, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(close(ends[0]), 0);
    check_join(thread);
    CHECK_EQUAL(read_result, PIPE_BYTES); /* what was written before counts, and the signal comes */
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(close(ends[1]), 0);
    install(SIGUSR1, 0);
    CHECK_EQUAL(pipe(ends), 0);
    thread = check_thread(fill_blocking, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    check_join(thread);
    CHECK_EQUAL(read_result, PIPE_BYTES);
    close_both();
}

/* The descriptor goes while a read of it waits: the read keeps the file. */
static void closed_while_waiting(void)
{
    CHECK_EQUAL(pipe(ends), 0);
    pthread_t thread = check_thread(read_byte, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(write(ends[1], "x", 1), 1); /* not EPIPE */
    check_join(thread);
    CHECK_EQUAL(read_result, 1);
    install(SIGPIPE, 0);
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(close(ends[1]), 0);
}

/* Thousands of pipes, until no descriptor is left; then all of it again. */
static void thousands(void)
{
    static int all[2048][2];
    struct rlimit limit, old;
    char byte;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = old;
    limit.rlim_cur = 2 * 2048 + 1 < limit.rlim_max ? 2 * 2048 + 1 : limit.rlim_max;
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int round = 0; round < 2; round++) {
        int count = 0;
        while (count < 2048 && pipe(all[count]) == 0) {
            CHECK_EQUAL(write(all[count][1], &count, 1), 1);
            count++;
        }
        CHECK(count < 2048);
        CHECK_EQUAL(errno, EMFILE);
        CHECK(count > 2000);
        for (int i = 0; i < count; i++) {
            CHECK_EQUAL(read(all[i][0], &byte, 1), 1);
            CHECK_EQUAL((unsigned char)byte, i % 256);
            CHECK_EQUAL(close(all[i][0]), 0);
            CHECK_EQUAL(close(all[i][1]), 0);
        }
    }
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"ends_and_errors", ends_and_errors},
        {"flags_and_stat", flags_and_stat},
        {"capacity", capacity},
        {"resize", resize},
        {"faults", faults},
        {"pages_of_a_file", pages_of_a_file},
        {"pages_of_another_core", pages_of_another_core},
        {"between_cores", between_cores},
        {"atomic_writes", atomic_writes},
        {"many_to_many", many_to_many},
        {"interrupted_read", interrupted_read},
        {"cancelled_read", cancelled_read},
        {"blocked_write", blocked_write},
        {"closed_while_waiting", closed_while_waiting},
        {"thousands", thousands},
    };
    return CHECK_MAIN(cases);
}
