/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings of files: shared ones are the file's memory (read, write, ftruncate and every mapping
 * see one content), private ones are not; the end of the file is SIGBUS; what a database does with
 * its index in shared memory. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0015~1 ATL-LLR-FILE-0034~1 ATL-LLR-FILE-0035~1 */
#include "fault.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096L
#define PATH "/tmp/conformance-mapping"

static int make(off_t bytes)
{
    unlink(PATH);
    int fd = open(PATH, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    CHECK_EQUAL(ftruncate(fd, bytes), 0);
    return fd;
}

static char *map(int fd, long bytes, int protection, off_t offset)
{
    char *memory = mmap(NULL, (size_t)bytes, protection, MAP_SHARED, fd, offset);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static int byte_at(int fd, off_t offset)
{
    unsigned char byte = 0;
    CHECK_EQUAL(pread(fd, &byte, 1, offset), 1);
    return byte;
}

static void coherent(void)
{
    int fd = make(0);
    CHECK_EQUAL(pwrite(fd, "hello", 5, PAGE - 2), 5);
    CHECK_EQUAL(ftruncate(fd, 3 * PAGE), 0);
    char *memory = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, 0);
    CHECK(memcmp(memory + PAGE - 2, "hello", 5) == 0);
    memory[PAGE] = 'L';
    memory[2 * PAGE + 7] = 'x'; /* a hole */
    CHECK_EQUAL(byte_at(fd, PAGE), 'L');
    CHECK_EQUAL(byte_at(fd, 2 * PAGE + 7), 'x');
    CHECK_EQUAL(pwrite(fd, "y", 1, 2 * PAGE + 8), 1);
    CHECK_EQUAL(memory[2 * PAGE + 8], 'y');
    CHECK_EQUAL(msync(memory, 3 * PAGE, MS_SYNC), 0);
    CHECK_EQUAL(fsync(fd), 0);
    CHECK_EQUAL(close(fd), 0); /* the mapping keeps the file */
    memory[0] = 'z';
    fd = open(PATH, O_RDWR);
    CHECK_EQUAL(byte_at(fd, 0), 'z');
    CHECK_EQUAL(munmap(memory, 3 * PAGE), 0);
    CHECK_EQUAL(byte_at(fd, 0), 'z');
    CHECK_EQUAL(byte_at(fd, 2 * PAGE + 7), 'x');
    CHECK_EQUAL(fault_run(fault_read, memory).signal, SIGSEGV);
    close(fd);
}

/* As a database does that reads through a mapping and writes by calls. */
static void read_only(void)
{
    int fd = make(PAGE);
    char *memory = map(fd, 16 * PAGE, PROT_READ, 0);
    CHECK_EQUAL(memory[0], 0);
    CHECK_EQUAL(pwrite(fd, "one", 3, 0), 3);
    CHECK(memcmp(memory, "one", 4) == 0);
    struct fault fault = fault_run(fault_read, memory + PAGE);
    CHECK_EQUAL(fault.signal, SIGBUS);
    CHECK_EQUAL(fault.code, BUS_ADRERR);
    CHECK_EQUAL(fault.address, (uintptr_t)memory + PAGE);
    CHECK_EQUAL(pwrite(fd, "three", 5, 2 * PAGE + 1), 5);
    CHECK(memcmp(memory + 2 * PAGE, "\0three", 7) == 0);
    CHECK_EQUAL(memory[PAGE], 0);
    fault = fault_run(fault_write, memory);
    CHECK_EQUAL(fault.signal, SIGSEGV);
    CHECK_EQUAL(fault.code, SEGV_ACCERR);
    CHECK_EQUAL(munmap(memory, 16 * PAGE), 0);
    close(fd);
}

static void end_of_file(void)
{
    int fd = make(2 * PAGE);
    char *memory = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, 0);
    memset(memory, 'a', 2 * PAGE);
    CHECK_EQUAL(ftruncate(fd, 100), 0);
    CHECK_EQUAL(memory[99], 'a');
    CHECK_EQUAL(memory[100], 0);
    CHECK_EQUAL(fault_run(fault_read, memory + PAGE).signal, SIGBUS);
    CHECK_EQUAL(fault_run(fault_write, memory + 3 * PAGE).signal, SIGBUS);
    CHECK_EQUAL(ftruncate(fd, 4 * PAGE), 0);
    CHECK_EQUAL(memory[PAGE], 0);
    memory[3 * PAGE] = 'd';
    CHECK_EQUAL(byte_at(fd, 3 * PAGE), 'd');
    CHECK_EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, PAGE), 0);
    CHECK_EQUAL(memory[3 * PAGE], 0);
    char byte = 0;
    /* calls meet pages that nobody touched, and the end */
    CHECK_EQUAL(pread(fd, memory + 2 * PAGE, 10, 90), 10);
    CHECK(memcmp(memory + 2 * PAGE, "aaaaaaaaaa", 10) == 0);
    CHECK_EQUAL(ftruncate(fd, PAGE), 0);
    CHECK_ERRNO(pread(fd, memory + 2 * PAGE, 1, 0), EFAULT);
    CHECK_ERRNO(pwrite(fd, memory + 2 * PAGE, 1, 0), EFAULT);
    CHECK_EQUAL(pread(fd, &byte, 1, 0), 1);
    CHECK_EQUAL(munmap(memory, 4 * PAGE), 0);
    memory = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_EQUAL(memory[0], 'a');
    CHECK_EQUAL(fault_run(fault_read, memory + PAGE).signal, SIGBUS);
    CHECK_EQUAL(munmap(memory, 3 * PAGE), 0);
    close(fd);
}

static void sparse(void)
{
    const long bytes = 1L << 30; /* more than the machine has */
    struct stat status;
    int fd = make(bytes);
    char *memory = map(fd, bytes, PROT_READ | PROT_WRITE, 0);
    for (long at = 0; at < bytes; at += bytes / 16) {
        CHECK_EQUAL(memory[at], 0);
        memory[at] = 's';
    }
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK(status.st_blocks >= 16 * 8 && status.st_blocks < 16 * 1024);
    CHECK_EQUAL(byte_at(fd, bytes / 2), 's');
    CHECK_EQUAL(munmap(memory, (size_t)bytes), 0);
    CHECK_EQUAL(byte_at(fd, bytes / 4), 's');
    close(fd);
}

static void protection(void)
{
    int fd = make(2 * PAGE);
    CHECK_EQUAL(pwrite(fd, "p", 1, 0), 1);
    int reader = open(PATH, O_RDONLY), writer = open(PATH, O_WRONLY);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED ? -1
                                                                                              : 0,
                EACCES);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0) == MAP_FAILED ? -1 : 0, EACCES);
    char *memory = map(reader, PAGE, PROT_READ, 0);
    CHECK_ERRNO(mprotect(memory, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK_EQUAL(munmap(memory, PAGE), 0);
    memory = map(fd, 2 * PAGE, PROT_NONE, 0);
    CHECK_EQUAL(fault_run(fault_read, memory).signal, SIGSEGV);
    CHECK_EQUAL(pwrite(fd, "q", 1, 0), 1); /* the call does not mind */
    CHECK_EQUAL(byte_at(fd, 0), 'q');
    CHECK_EQUAL(mprotect(memory, 2 * PAGE, PROT_READ | PROT_WRITE), 0);
    CHECK_EQUAL(memory[0], 'q');
    memory[PAGE] = 'r';
    CHECK_EQUAL(mprotect(memory + PAGE, PAGE, PROT_READ), 0);
    CHECK_EQUAL(fault_run(fault_write, memory + PAGE).signal, SIGSEGV);
    CHECK_EQUAL(memory[PAGE], 'r');
    CHECK_EQUAL(madvise(memory, PAGE, MADV_DONTNEED), 0);
    CHECK_EQUAL(memory[0], 'q');
    CHECK_EQUAL(munmap(memory, 2 * PAGE), 0);
    close(reader);
    close(writer);
    close(fd);
}

static void private_copies(void)
{
    int fd = make(PAGE);
    CHECK_EQUAL(pwrite(fd, "file", 4, 0), 4);
    char *copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(copy != MAP_FAILED);
    CHECK(memcmp(copy, "file", 4) == 0);
    copy[0] = 'F';
    CHECK_EQUAL(byte_at(fd, 0), 'f');
    CHECK_EQUAL(munmap(copy, PAGE), 0);
    close(fd);
}

static void parts(void)
{
    int fd = make(8 * PAGE);
    char *memory = map(fd, 8 * PAGE, PROT_READ | PROT_WRITE, 0);
    for (long page = 0; page < 8; page++) {
        memory[page * PAGE] = (char)('0' + page);
    }
    CHECK_EQUAL(munmap(memory + 3 * PAGE, 2 * PAGE), 0);
    CHECK_EQUAL(fault_run(fault_read, memory + 3 * PAGE).signal, SIGSEGV);
    CHECK_EQUAL(pwrite(fd, "345", 3, 5 * PAGE), 3);
    CHECK(memcmp(memory + 5 * PAGE, "345", 3) == 0);
    CHECK_EQUAL(pwrite(fd, "x", 1, 4 * PAGE), 1); /* no longer mapped */
    CHECK_EQUAL(byte_at(fd, 3 * PAGE), '3');
    void *place = mmap(memory + 6 * PAGE, PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(place == memory + 6 * PAGE);
    CHECK_EQUAL(memory[6 * PAGE], 0);
    CHECK_EQUAL(byte_at(fd, 6 * PAGE), '6');
    char *back = mmap(memory + 3 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 3 * PAGE);
    CHECK(back == memory + 3 * PAGE);
    CHECK(back[0] == '3' && back[PAGE] == 'x');
    CHECK_EQUAL(munmap(memory, 8 * PAGE), 0);
    CHECK_EQUAL(byte_at(fd, 7 * PAGE), '7');
    close(fd);
}

static void grown(void)
{
    int fd = make(PAGE);
    char *memory = map(fd, PAGE, PROT_READ | PROT_WRITE, 0);
    memory[1] = 'g';
    CHECK_EQUAL(pwrite(fd, "far", 3, 20 * PAGE), 3);
    memory = mremap(memory, PAGE, 21 * PAGE, MREMAP_MAYMOVE);
    CHECK(memory != MAP_FAILED);
    CHECK(memory[1] == 'g' && memcmp(memory + 20 * PAGE, "far", 3) == 0);
    memory[20 * PAGE] = 'F';
    CHECK_EQUAL(byte_at(fd, 20 * PAGE), 'F');
    memory = mremap(memory, 21 * PAGE, 2 * PAGE, 0);
    CHECK(memory != MAP_FAILED);
    memory[2] = 'h';
    CHECK_EQUAL(byte_at(fd, 2), 'h');
    CHECK_EQUAL(munmap(memory, 2 * PAGE), 0);
    close(fd);
}

static void twice(void)
{
    int fd = make(4 * PAGE), other = open(PATH, O_RDWR);
    char *first = map(fd, 4 * PAGE, PROT_READ | PROT_WRITE, 0);
    char *second = map(other, 4 * PAGE, PROT_READ | PROT_WRITE, 0);
    first[PAGE] = 'w';
    CHECK_EQUAL(second[PAGE], 'w');
    second[0] = 'v';
    CHECK_EQUAL(first[0], 'v');
    CHECK_EQUAL(munmap(first, 4 * PAGE), 0);
    second[1] = 'u';
    CHECK_EQUAL(byte_at(fd, 1), 'u');
    CHECK_EQUAL(munmap(second, 4 * PAGE), 0);
    CHECK_EQUAL(unlink(PATH), 0);
    CHECK_EQUAL(byte_at(fd, 1), 'u');
    close(fd);
    close(other);
}

#define REGION (32L << 10)
static struct {
    _Atomic long *words;
    int fd;
} shared;

static void *count_up(void *argument)
{
    check_pin((int)(intptr_t)argument);
    for (long i = 0; i < check_count(2000); i++) {
        for (long at = 0; at < 2 * REGION / (long)sizeof(long); at += PAGE / (long)sizeof(long)) {
            atomic_fetch_add(&shared.words[at], 1);
        }
        if (i % 500 == 0) {
            long value = -1;
            CHECK_EQUAL(pread(shared.fd, &value, sizeof(value), REGION), sizeof(value));
            CHECK(value > 0);
        }
    }
    return NULL;
}

/* The index of a write-ahead log: the file grows by regions, each is mapped, all threads use it. */
static void log_index(void)
{
    pthread_t threads[4];
    shared.fd = make(0);
    CHECK_EQUAL(ftruncate(shared.fd, REGION), 0);
    char *first = map(shared.fd, REGION, PROT_READ | PROT_WRITE, 0);
    first[0] = 0;
    CHECK_EQUAL(pwrite(shared.fd, "", 1, 2 * REGION - 1), 1);
    char *second = map(shared.fd, REGION, PROT_READ | PROT_WRITE, REGION);
    second[REGION - 1] = 0;
    CHECK_EQUAL(munmap(second, REGION), 0);
    CHECK_EQUAL(munmap(first, REGION), 0);
    shared.words = (_Atomic long *)(void *)map(shared.fd, 2 * REGION, PROT_READ | PROT_WRITE, 0);
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(count_up, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    for (long page = 0; page < 2 * REGION / PAGE; page++) {
        long value = 0;
        CHECK_EQUAL(pread(shared.fd, &value, sizeof(value), page * PAGE), sizeof(value));
        CHECK_EQUAL(value, 4 * check_count(2000));
    }
    CHECK_EQUAL(munmap((void *)shared.words, 2 * REGION), 0);
    CHECK_EQUAL(unlink(PATH), 0);
    close(shared.fd);
}

int main(int argc, char **argv)
{
    fault_install();
    static const struct check_case cases[] = {
        {"coherent", coherent},   {"read_only", read_only},   {"end_of_file", end_of_file},
        {"sparse", sparse},       {"protection", protection}, {"private_copies", private_copies},
        {"parts", parts},         {"grown", grown},           {"twice", twice},
        {"log_index", log_index},
    };
    return CHECK_MAIN(cases);
}
