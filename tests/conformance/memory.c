/* SPDX-License-Identifier: Apache-2.0 */
/* Memory calls: exact errors and effects of mmap, munmap, mprotect, mremap, madvise and brk, faults
 * with their si_code and si_addr, large reservations, and that changes are visible on other cores
 * at once. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0005~1 */
#include "fault.h"
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096UL
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

static char *map(size_t bytes, int protection)
{
    char *area = mmap(NULL, bytes, protection, ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED);
    CHECK_EQUAL((uintptr_t)area % PAGE, 0);
    return area;
}

static void expect_fault(void (*action)(void *), char *at, int code)
{
    struct fault fault = fault_run(action, at);
    CHECK_EQUAL(fault.signal, code == 0 ? 0 : SIGSEGV);
    CHECK_EQUAL(fault.code, code);
    CHECK_EQUAL(fault.address, code == 0 ? 0 : (uintptr_t)at);
}

static int all_bytes(const char *area, size_t bytes, char value)
{
    for (size_t i = 0; i < bytes; i++) {
        if (area[i] != value) {
            return 0;
        }
    }
    return 1;
}

/* mmap as an integer result, so that failures compare with -1. */
static long try_map(void *at, size_t bytes, int protection, int flags, int fd, long offset)
{
    return (long)mmap(at, bytes, protection, flags, fd, offset);
}

static void mmap_errors(void)
{
    char *area = map(4 * PAGE, READ_WRITE);
    CHECK_ERRNO(try_map(NULL, 0, PROT_READ, ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(try_map(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(try_map(area + 1, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERRNO(try_map(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERRNO(try_map(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_mmap, NULL, PAGE, PROT_READ, ANONYMOUS, -1, 1L), EINVAL);
    CHECK_ERRNO(syscall(SYS_mmap, NULL, ~0UL - 4 * PAGE, PROT_READ, ANONYMOUS, -1, 0L), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mmap, 0x7ffffffff000UL, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0L),
                ENOMEM);
    CHECK_ERRNO(syscall(SYS_mmap, area, 2 * PAGE, PROT_READ, ANONYMOUS | 0x100000, -1, 0L), EEXIST);
    CHECK_EQUAL(munmap(area, 4 * PAGE), 0);
}

static void munmap_errors(void)
{
    char *area = map(4 * PAGE, READ_WRITE);
    CHECK_ERRNO(syscall(SYS_munmap, area + 1, PAGE), EINVAL);
    CHECK_ERRNO(syscall(SYS_munmap, area, 0UL), EINVAL);
    CHECK_ERRNO(syscall(SYS_munmap, 0x7ffffffff000UL, 2 * PAGE), EINVAL);
    CHECK_ERRNO(syscall(SYS_munmap, area, ~0UL - PAGE), EINVAL);
    CHECK_EQUAL(munmap(area + PAGE, PAGE), 0);
    CHECK_EQUAL(munmap(area + PAGE, PAGE), 0); /* a hole already */
    area[0] = area[2 * PAGE] = 1;
    expect_fault(fault_read, area + PAGE, SEGV_MAPERR);
    CHECK_EQUAL(munmap(area, 4 * PAGE), 0); /* with a hole inside */
    expect_fault(fault_write, area, SEGV_MAPERR);
    expect_fault(fault_write, area + 3 * PAGE, SEGV_MAPERR);
    area = map(PAGE, READ_WRITE);
    CHECK_EQUAL(munmap(area, 100), 0); /* a length is rounded up */
    expect_fault(fault_read, area + PAGE - 1, SEGV_MAPERR);
}

static void mprotect_effects(void)
{
    char *area = map(4 * PAGE, READ_WRITE);
    CHECK_ERRNO(syscall(SYS_mprotect, area + 1, PAGE, PROT_READ), EINVAL);
    CHECK_ERRNO(syscall(SYS_mprotect, area, PAGE, 0x100), EINVAL);
    CHECK_EQUAL(syscall(SYS_mprotect, area, 0UL, PROT_NONE), 0);
    memset(area, 5, 4 * PAGE);
    CHECK_EQUAL(mprotect(area + PAGE, PAGE, PROT_READ), 0);
    CHECK_EQUAL(mprotect(area + 2 * PAGE, PAGE, PROT_NONE), 0);
    expect_fault(fault_read, area + PAGE, 0);
    expect_fault(fault_write, area + PAGE + 7, SEGV_ACCERR);
    expect_fault(fault_read, area + 2 * PAGE + 9, SEGV_ACCERR);
    expect_fault(fault_write, area + 2 * PAGE, SEGV_ACCERR);
    expect_fault(fault_call, area + 3 * PAGE, SEGV_ACCERR); /* data does not execute */
    CHECK_EQUAL(mprotect(area, 4 * PAGE, READ_WRITE), 0);
    CHECK(all_bytes(area, 4 * PAGE, 5));
    area[2 * PAGE] = (char)0xc3; /* ret */
    CHECK_EQUAL(mprotect(area + 2 * PAGE, PAGE, PROT_READ | PROT_EXEC), 0);
    expect_fault(fault_call, area + 2 * PAGE, 0);
    expect_fault(fault_write, area + 2 * PAGE, SEGV_ACCERR);
    CHECK_EQUAL(munmap(area + 3 * PAGE, PAGE), 0);
    CHECK_ERRNO(mprotect(area + 2 * PAGE, 2 * PAGE, PROT_READ), ENOMEM);
    CHECK_EQUAL(munmap(area, 3 * PAGE), 0);
}

static void lazy_zero(void)
{
    size_t bytes = 8 << 20;
    char *area = map(bytes, READ_WRITE);
    for (size_t i = 0; i < bytes; i += 64 * PAGE) {
        CHECK_EQUAL(area[i], 0);
        CHECK(all_bytes(area + i, PAGE, 0));
    }
    memset(area, 1, bytes);
    CHECK_EQUAL(munmap(area, bytes), 0);
    char *again = mmap(area, bytes, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(again == area);
    CHECK(all_bytes(area, bytes, 0));
    CHECK_EQUAL(munmap(area, bytes), 0);
}

static void fixed_replaces(void)
{
    char *area = map(4 * PAGE, READ_WRITE);
    memset(area, 7, 4 * PAGE);
    CHECK(mmap(area + PAGE, 2 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == area + PAGE);
    CHECK(all_bytes(area, PAGE, 7));
    CHECK(all_bytes(area + PAGE, 2 * PAGE, 0));
    CHECK(all_bytes(area + 3 * PAGE, PAGE, 7));
    CHECK_EQUAL(munmap(area, 4 * PAGE), 0);
}

static void hints(void)
{
    char *area = map(16 * PAGE, PROT_NONE);
    CHECK_EQUAL(munmap(area, 16 * PAGE), 0);
    CHECK(mmap(area + 4 * PAGE, PAGE, READ_WRITE, ANONYMOUS, -1, 0) == area + 4 * PAGE);
    char *elsewhere = mmap(area + 4 * PAGE, PAGE, READ_WRITE, ANONYMOUS, -1, 0);
    CHECK(elsewhere != MAP_FAILED && elsewhere != area + 4 * PAGE); /* taken: not replaced */
    CHECK_EQUAL(munmap(elsewhere, PAGE), 0);
    CHECK_EQUAL(munmap(area + 4 * PAGE, PAGE), 0);
}

/* A range that no machine has memory for: only what is used of it costs anything. */
static void reserve(size_t bytes)
{
    char *area = mmap(NULL, bytes, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(area != MAP_FAILED);
    expect_fault(fault_read, area + bytes / 2, SEGV_ACCERR);
    for (size_t i = 0; i < 16; i++) {
        char *piece = area + i * (bytes / 16) + i * PAGE;
        CHECK_EQUAL(mprotect(piece, 16 * PAGE, READ_WRITE), 0);
        CHECK(all_bytes(piece, 16 * PAGE, 0));
        memset(piece, 3, 16 * PAGE);
        expect_fault(fault_write, piece + 16 * PAGE, SEGV_ACCERR);
    }
    CHECK_EQUAL(area[3 * (bytes / 16) + 3 * PAGE], 3);
    CHECK_EQUAL(munmap(area, bytes), 0);
    expect_fault(fault_read, area + 3 * (bytes / 16) + 3 * PAGE, SEGV_MAPERR);
}

static void large_reserve(void)
{
    reserve(1UL << 38);
    reserve(1UL << 40); /* more than one core owns */
    char *area = mmap(NULL, 1UL << 40, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(area != MAP_FAILED);
    char *middle = area + (1UL << 39) - 8 * PAGE;
    CHECK_EQUAL(mprotect(middle, 16 * PAGE, READ_WRITE), 0);
    memset(middle, 5, 16 * PAGE);
    CHECK(all_bytes(middle, 16 * PAGE, 5));
    CHECK_EQUAL(madvise(middle, 16 * PAGE, MADV_DONTNEED), 0);
    CHECK(all_bytes(middle, 16 * PAGE, 0));
    CHECK_EQUAL(munmap(middle, 16 * PAGE), 0);
    expect_fault(fault_read, middle + 8 * PAGE, SEGV_MAPERR);
    expect_fault(fault_read, middle + 16 * PAGE, SEGV_ACCERR);
    CHECK_EQUAL(munmap(area, 1UL << 40), 0);
    expect_fault(fault_read, middle + 16 * PAGE, SEGV_MAPERR);
}

static void mremap_effects(void)
{
    char *area = map(8 * PAGE, READ_WRITE);
    memset(area, 9, 8 * PAGE);
    CHECK_ERRNO((long)mremap(area + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERRNO((long)mremap(area, PAGE, 0, 0), EINVAL);
    CHECK_ERRNO((long)mremap(area, PAGE, PAGE, 0x40), EINVAL);
    CHECK(mremap(area, 8 * PAGE, 4 * PAGE, 0) == area);
    expect_fault(fault_read, area + 4 * PAGE, SEGV_MAPERR);
    CHECK_EQUAL(syscall(SYS_mmap, area + 4 * PAGE, PAGE, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0L),
                (long)area + 4 * (long)PAGE);
    CHECK_ERRNO((long)mremap(area, 4 * PAGE, 8 * PAGE, 0), ENOMEM); /* no room, must not move */
    char *moved = mremap(area, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    CHECK(moved != MAP_FAILED && moved != area);
    CHECK(all_bytes(moved, 4 * PAGE, 9));
    CHECK(all_bytes(moved + 4 * PAGE, 60 * PAGE, 0));
    expect_fault(fault_read, area, SEGV_MAPERR);
    char *target = map(64 * PAGE, PROT_NONE);
    CHECK(mremap(moved, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
    CHECK(all_bytes(target, 4 * PAGE, 9));
    CHECK_ERRNO((long)mremap(moved, 64 * PAGE, 128 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_EQUAL(munmap(target, 64 * PAGE), 0);
    CHECK_EQUAL(munmap(area + 4 * PAGE, PAGE), 0);
}

static void madvise_effects(void)
{
    char *area = map(4 * PAGE, READ_WRITE);
    memset(area, 9, 4 * PAGE);
    CHECK_ERRNO(madvise(area + 1, PAGE, MADV_DONTNEED), EINVAL);
    CHECK_ERRNO(madvise(area, PAGE, 9999), EINVAL);
    CHECK_EQUAL(madvise(area, 0, MADV_DONTNEED), 0);
    CHECK_EQUAL(madvise(area + PAGE, 2 * PAGE, MADV_DONTNEED), 0);
    CHECK(all_bytes(area, PAGE, 9));
    CHECK(all_bytes(area + PAGE, 2 * PAGE, 0));
    CHECK(all_bytes(area + 3 * PAGE, PAGE, 9));
    CHECK_EQUAL(madvise(area, PAGE, MADV_FREE), 0);
    CHECK(area[0] == 9 || area[0] == 0); /* either, until written */
    area[0] = 4;
    CHECK_EQUAL(area[0], 4);
    CHECK_EQUAL(madvise(area, PAGE, MADV_WILLNEED), 0);
    CHECK_EQUAL(munmap(area + PAGE, PAGE), 0);
    CHECK_ERRNO(madvise(area, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_EQUAL(area[2 * PAGE], 0); /* the rest was done */
    CHECK_EQUAL(munmap(area, 4 * PAGE), 0);
}

static void brk_effects(void)
{
    char *begin = (char *)syscall(SYS_brk, 0UL);
    CHECK(begin != NULL);
    CHECK((char *)syscall(SYS_brk, begin + 16 * PAGE) == begin + 16 * PAGE);
    CHECK(all_bytes(begin, 16 * PAGE, 0) || (uintptr_t)begin % PAGE != 0);
    memset(begin, 6, 16 * PAGE);
    CHECK((char *)syscall(SYS_brk, 1UL) == begin + 16 * PAGE); /* refused: unchanged */
    CHECK((char *)syscall(SYS_brk, begin + PAGE) == begin + PAGE);
    expect_fault(fault_read, (char *)(((uintptr_t)begin + 2 * PAGE) & ~(PAGE - 1)), SEGV_MAPERR);
    CHECK((char *)syscall(SYS_brk, begin + 16 * PAGE) == begin + 16 * PAGE);
    CHECK(all_bytes((char *)(((uintptr_t)begin + 2 * PAGE) & ~(PAGE - 1)), 8 * PAGE, 0));
    CHECK((char *)syscall(SYS_brk, begin) == begin);
}

struct watch {
    char *volatile area;
    volatile long reads;
    struct fault fault;
};

static void read_until_fault(void *argument)
{
    struct watch *watch = argument;
    for (;;) {
        (void)*(volatile char *)watch->area;
        watch->reads++;
    }
}

static void write_until_fault(void *argument)
{
    struct watch *watch = argument;
    for (;;) {
        *(volatile char *)watch->area = 1;
        watch->reads++;
    }
}

static void *watch_reads(void *argument)
{
    check_pin(1);
    ((struct watch *)argument)->fault = fault_run(read_until_fault, argument);
    return NULL;
}

static void *watch_writes(void *argument)
{
    check_pin(1);
    ((struct watch *)argument)->fault = fault_run(write_until_fault, argument);
    return NULL;
}

/* protection < 0: unmap. Afterwards the other core's next access must fault. */
static void visible(void *(*body)(void *), int protection, int code)
{
    for (long round = 0; round < check_count(20); round++) {
        struct watch watch = {.area = map(PAGE, READ_WRITE)};
        *watch.area = 1;
        pthread_t thread = check_thread(body, &watch);
        while (watch.reads < 1000) {
            sched_yield();
        }
        if (protection < 0) {
            CHECK_EQUAL(munmap(watch.area, PAGE), 0);
        } else {
            CHECK_EQUAL(mprotect(watch.area, PAGE, protection), 0);
        }
        long at = watch.reads;
        check_join(thread);
        CHECK(watch.reads <= at + 1);
        CHECK_EQUAL(watch.fault.signal, SIGSEGV);
        CHECK_EQUAL(watch.fault.code, code);
        CHECK_EQUAL(watch.fault.address, (uintptr_t)watch.area);
        munmap(watch.area, PAGE);
    }
}

static void unmap_is_visible(void)
{
    visible(watch_reads, -1, SEGV_MAPERR);
}

static void protect_is_visible(void)
{
    visible(watch_reads, PROT_NONE, SEGV_ACCERR);
    visible(watch_writes, PROT_READ, SEGV_ACCERR);
}

static char *shared_area;

static void *first_touch(void *argument)
{
    size_t index = (size_t)argument;
    check_pin((int)index);
    for (size_t page = 0; page < 256; page++) {
        char *word = shared_area + page * PAGE + index * 8;
        CHECK_EQUAL(__atomic_fetch_add((uint64_t *)word, index + 1, __ATOMIC_SEQ_CST), 0);
    }
    return NULL;
}

static void first_touch_by_all(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    for (int round = 0; round < 4; round++) {
        shared_area = map(256 * PAGE, READ_WRITE);
        for (size_t i = 0; i < THREADS; i++) {
            threads[i] = check_thread(first_touch, (void *)i);
        }
        for (int i = 0; i < THREADS; i++) {
            check_join(threads[i]);
        }
        for (size_t i = 0; i < 256 * THREADS; i++) {
            uint64_t *word = (uint64_t *)(shared_area + i / THREADS * PAGE + i % THREADS * 8);
            CHECK_EQUAL(*word, i % THREADS + 1);
        }
        CHECK_EQUAL(munmap(shared_area, 256 * PAGE), 0);
    }
}

/* Random blocks, each filled with its own tag and verified before it is freed or grown. */
static void *storm(void *argument)
{
    enum { BLOCKS = 64 };
    struct {
        unsigned char *data;
        size_t bytes;
    } blocks[BLOCKS] = {0};
    unsigned long long random = (uintptr_t)argument + 1;
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(5000); i++) {
        size_t slot = check_random(&random) % BLOCKS,
               limit = 1UL << (4 + check_random(&random) % 15);
        unsigned char tag = (unsigned char)(slot + (uintptr_t)argument * 13);
        if (blocks[slot].data != NULL) {
            CHECK(blocks[slot].data[0] == tag && blocks[slot].data[blocks[slot].bytes - 1] == tag);
            CHECK(blocks[slot].data[check_random(&random) % blocks[slot].bytes] == tag);
        }
        size_t bytes = 1 + check_random(&random) % limit;
        if (i % 3 == 0) {
            free(blocks[slot].data);
            blocks[slot].data = NULL;
        }
        blocks[slot].data = realloc(blocks[slot].data, bytes);
        CHECK(blocks[slot].data != NULL);
        blocks[slot].bytes = bytes;
        memset(blocks[slot].data, tag, bytes);
    }
    for (int slot = 0; slot < BLOCKS; slot++) {
        free(blocks[slot].data);
    }
    return NULL;
}

static void malloc_storm(void)
{
    pthread_t threads[8];
    for (long i = 0; i < 8; i++) {
        threads[i] = check_thread(storm, (void *)i);
    }
    for (int i = 0; i < 8; i++) {
        check_join(threads[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"mmap_errors", mmap_errors},
        {"munmap_errors", munmap_errors},
        {"mprotect_effects", mprotect_effects},
        {"lazy_zero", lazy_zero},
        {"fixed_replaces", fixed_replaces},
        {"hints", hints},
        {"large_reserve", large_reserve},
        {"mremap_effects", mremap_effects},
        {"madvise_effects", madvise_effects},
        {"brk_effects", brk_effects},
        {"unmap_is_visible", unmap_is_visible},
        {"protect_is_visible", protect_is_visible},
        {"first_touch_by_all", first_touch_by_all},
        {"malloc_storm", malloc_storm},
    };
    fault_install();
    return CHECK_MAIN(cases);
}
