/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a file of five blocks of 64 KiB and a bit, of whose blocks one is damaged: which can be
 * read, and which can be touched in mappings of each kind.
 *
 *     damaged open|look FILE */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 65536L
#define PAGE 4096L
#define BLOCKS_MAX 16

static sigjmp_buf touched;
static volatile sig_atomic_t code;

static void bus_error(int number, siginfo_t *information, void *context)
{
    (void)context;
    code = information->si_code;
    siglongjmp(touched, number);
}

/* Prints for each block one character: '.' it is readable and like the other way to it, 'E' EIO,
 * 'B' SIGBUS in all its pages, '?' anything else. */
static char by_read(int file, long offset, char *first)
{
    char bytes[100];
    ssize_t got = pread(file, bytes, sizeof(bytes), offset);
    if (got < 0) {
        return errno == EIO ? 'E' : '?';
    }
    *first = bytes[0];
    return '.';
}

static char by_touch(const volatile char *block, long bytes, char first)
{
    long good = 0, bad = 0;
    for (volatile long at = 0; at < bytes; at += PAGE) {
        if (sigsetjmp(touched, 1) == 0) {
            char seen = block[at];
            good += at != 0 || seen == first;
        } else {
            bad += code == BUS_ADRERR;
        }
    }
    long pages = (bytes + PAGE - 1) / PAGE;
    return good == pages ? '.' : bad == pages ? 'B' : '?';
}

static void look(int file, long bytes, const char *how, int protection, int flags)
{
    char read_result[BLOCKS_MAX] = {0}, map_result[BLOCKS_MAX] = {0};
    char *area = mmap(NULL, (size_t)bytes, protection, flags, file, 0);
    for (long at = 0; at < bytes; at += BLOCK) {
        char first = 0;
        long rest = bytes - at < BLOCK ? bytes - at : BLOCK;
        read_result[at / BLOCK] = by_read(file, at, &first);
        map_result[at / BLOCK] = area == MAP_FAILED ? 'F' : by_touch(area + at, rest, first);
    }
    printf("%s: read %s map %s\n", how, read_result, map_result);
    if (area != MAP_FAILED) {
        munmap(area, (size_t)bytes);
    }
}

/* How far one read comes, and what the next one says. */
static void read_on(int file)
{
    static char bytes[BLOCKS_MAX * BLOCK];
    ssize_t first = pread(file, bytes, sizeof(bytes), 0);
    ssize_t second = pread(file, bytes, sizeof(bytes), first);
    printf("reads %zd, then %s\n", first, second < 0 ? strerror(errno) : "on");
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO};
    struct stat status;
    int file = argc == 3 ? open(argv[2], O_RDWR) : -1;
    if (file < 0 || fstat(file, &status) < 0 || status.st_size > BLOCKS_MAX * BLOCK) {
        perror("damaged");
        return 2;
    }
    sigaction(SIGBUS, &action, NULL);
    printf("%ld bytes\n", (long)status.st_size);
    if (strcmp(argv[1], "open") == 0) {
        return 0;
    }
    read_on(file);
    look(file, status.st_size, "private", PROT_READ, MAP_PRIVATE);
    look(file, status.st_size, "private copy", PROT_READ | PROT_WRITE, MAP_PRIVATE);
    look(file, status.st_size, "shared", PROT_READ, MAP_SHARED);
    look(file, status.st_size, "shared writable", PROT_READ | PROT_WRITE, MAP_SHARED);
    printf("write %s\n", pwrite(file, "x", 1, 2 * BLOCK + 5) < 0 ? strerror(errno) : "done");
    printf("write %s\n", pwrite(file, "x", 1, 3 * BLOCK + 5) < 0 ? strerror(errno) : "done");
    look(file, status.st_size, "after a write", PROT_READ | PROT_WRITE, MAP_SHARED);
    return 0;
}
