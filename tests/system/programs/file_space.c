/* SPDX-License-Identifier: Apache-2.0 */
/* A full file system: writing ends with ENOSPC and a short count before it, what was written stays,
 * everything else goes on, and what is removed can be written again. Made for machines with few
 * megabytes; the build machine's disk is not filled. */
#include "../../conformance/check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define PATH "/tmp/conformance-space"
#define BLOCK 65536

static char block[BLOCK];

static long long fill(void)
{
    long long total = 0;
    int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    for (;;) {
        memset(block, (int)(total / BLOCK), sizeof(block));
        ssize_t got = write(fd, block, sizeof(block));
        if (got < 0) {
            CHECK_EQUAL(errno, ENOSPC);
            break;
        }
        CHECK(got > 0);
        total += got;
        CHECK(total < 1LL << 32);
    }
    struct stat status;
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK_EQUAL(status.st_size, total);
    for (long long at = 0; at < total; at += BLOCK) {
        unsigned char byte = 1;
        CHECK_EQUAL(pread(fd, &byte, 1, at), 1);
        CHECK_EQUAL(byte, (unsigned char)(at / BLOCK));
    }
    CHECK_EQUAL(close(fd), 0);
    return total;
}

static void full(void)
{
    struct statfs before, after;
    CHECK_EQUAL(statfs("/tmp", &before), 0);
    long long first = fill();
    CHECK(first > 4 << 20);
    CHECK_EQUAL(statfs("/tmp", &after), 0);
    CHECK(after.f_bfree < before.f_bfree / 8);
    int fd = open("/tmp/one-more", O_CREAT | O_RDWR, 0600); /* names need little */
    CHECK(fd >= 0);
    CHECK_ERRNO(write(fd, block, BLOCK), ENOSPC);
    struct stat status;
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK_EQUAL(status.st_size, 0);
    close(fd);
    CHECK_EQUAL(unlink("/tmp/one-more"), 0);
    /* the program itself still gets memory */
    char *memory = malloc(4 << 20);
    CHECK(memory != NULL);
    memset(memory, 1, 4 << 20);
    free(memory);
}

static void again(void)
{
    CHECK_EQUAL(unlink(PATH), 0);
    long long first = fill();
    CHECK_EQUAL(truncate(PATH, 1 << 20), 0);
    int fd = open(PATH, O_WRONLY | O_APPEND);
    CHECK_EQUAL(write(fd, block, BLOCK), BLOCK);
    close(fd);
    CHECK_EQUAL(unlink(PATH), 0);
    CHECK_EQUAL(fill(), first);
    CHECK_EQUAL(unlink(PATH), 0);
}

static void mapped(void)
{
    int fd = open(PATH, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_EQUAL(ftruncate(fd, 1 << 20), 0);
    char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    memset(memory, 7, 1 << 20);
    CHECK_EQUAL(munmap(memory, 1 << 20), 0);
    char byte = 0;
    CHECK_EQUAL(pread(fd, &byte, 1, (1 << 20) - 1), 1);
    CHECK_EQUAL(byte, 7);
    close(fd);
    CHECK_EQUAL(unlink(PATH), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"full", full},
        {"again", again},
        {"mapped", mapped},
    };
    return CHECK_MAIN(cases);
}
