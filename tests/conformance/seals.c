/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create with seals: what each forbids, mappings, and who may add one.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0040~1 */
#include "check.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096

static int file;

static void create(unsigned flags)
{
    file = memfd_create("sealed", flags);
    CHECK(file >= 0);
    CHECK_EQUAL(ftruncate(file, 2 * PAGE), 0);
}

static long size(void)
{
    struct stat stat;
    CHECK_EQUAL(fstat(file, &stat), 0);
    return stat.st_size;
}

static void who_may(void)
{
    int ends[2];
    create(MFD_CLOEXEC);
    CHECK_EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_SEAL); /* not made for it */
    CHECK_ERRNO(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    CHECK_EQUAL(close(file), 0);
    create(MFD_ALLOW_SEALING);
    CHECK_EQUAL(fcntl(file, F_GET_SEALS), 0);
    CHECK_ERRNO(fcntl(file, F_ADD_SEALS, 1 << 20), EINVAL);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), 0);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
    CHECK_EQUAL(fcntl(file, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), EPERM);
    CHECK_EQUAL(close(file), 0);
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_ERRNO(fcntl(ends[0], F_GET_SEALS), EINVAL);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void sizes(void)
{
    char page[PAGE] = {0};
    create(MFD_ALLOW_SEALING);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    CHECK_ERRNO(ftruncate(file, PAGE), EPERM);
    CHECK_EQUAL(ftruncate(file, 3 * PAGE), 0);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_GROW), 0);
    CHECK_ERRNO(ftruncate(file, 4 * PAGE), EPERM);
    CHECK_EQUAL(ftruncate(file, 3 * PAGE), 0);
    CHECK_ERRNO(pwrite(file, page, PAGE, 3 * PAGE), EPERM);
    CHECK_ERRNO(fallocate(file, 0, 0, 4 * PAGE), EPERM);
    CHECK_EQUAL(pwrite(file, page, PAGE, 2 * PAGE), PAGE);
    CHECK_EQUAL(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), 0);
    CHECK_EQUAL(size(), 3 * PAGE);
    CHECK_EQUAL(close(file), 0);
}

static void contents(void)
{
    create(MFD_ALLOW_SEALING);
    CHECK_EQUAL(pwrite(file, "abc", 3, 0), 3);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(shared != MAP_FAILED);
    CHECK_ERRNO(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_EQUAL(munmap(shared, PAGE), 0);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), 0);
    CHECK_ERRNO(pwrite(file, "x", 1, 0), EPERM);
    CHECK_ERRNO(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
    CHECK_EQUAL(errno, EPERM);
    char *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    CHECK(own != MAP_FAILED);
    own[0] = 'z';
    CHECK_EQUAL(munmap(own, PAGE), 0);
    char text[3];
    CHECK_EQUAL(pread(file, text, 3, 0), 3);
    CHECK(memcmp(text, "abc", 3) == 0);
    CHECK_EQUAL(close(file), 0);
}

/* A mapping that is there when F_SEAL_FUTURE_WRITE comes goes on; a new one cannot be written. */
static void future(void)
{
    create(MFD_ALLOW_SEALING);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(shared != MAP_FAILED);
    CHECK_EQUAL(fcntl(file, F_ADD_SEALS, 0x10 /* F_SEAL_FUTURE_WRITE */), 0);
    shared[0] = 'm';
    char byte;
    CHECK_EQUAL(pread(file, &byte, 1, 0), 1);
    CHECK_EQUAL(byte, 'm');
    CHECK_ERRNO(pwrite(file, "x", 1, 0), EPERM);
    CHECK(mmap(NULL, PAGE, PROT_WRITE | PROT_READ, MAP_SHARED, file, PAGE) == MAP_FAILED);
    CHECK_EQUAL(errno, EPERM);
    char *seen = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    CHECK(seen != MAP_FAILED);
    CHECK_EQUAL(seen[0], 0);
    CHECK_ERRNO(mprotect(seen, PAGE, PROT_READ | PROT_WRITE), EACCES);
    CHECK_EQUAL(munmap(seen, PAGE), 0);
    CHECK_EQUAL(munmap(shared, PAGE), 0);
    CHECK_EQUAL(close(file), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"who_may", who_may},
        {"sizes", sizes},
        {"contents", contents},
        {"future", future},
    };
    return CHECK_MAIN(cases);
}
