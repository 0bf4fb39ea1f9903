/* SPDX-License-Identifier: Apache-2.0 */
/* The small calls: identity, limits, randomness, prctl. */
#include "shim.h"

#include <check.h>
#include <kernel/image.h>
#include <posix/file.h>
#include <posix/posix.h>
#include <posix/syscalls.h>

#define KEEP 0xffffffffu

static uint64_t descriptors = 1024;

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

void posix_file_size_set_limit(uint64_t soft)
{
    (void)soft;
}

uint64_t posix_descriptor_limit(void)
{
    return descriptors;
}

void posix_descriptor_set_limit(uint64_t soft)
{
    descriptors = soft;
}

int64_t gate_random(uint64_t buffer, uint64_t bytes)
{
    memset((void *)(uintptr_t)buffer, 0x5a, bytes);
    return 0;
}

int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max)
{
    for (size_t i = 0; i < bytes_max; i++) {
        if (posix_copy_in(&to[i], from + i, 1) != 0) {
            return -EFAULT;
        }
        if (to[i] == 0) {
            return (int64_t)i;
        }
    }
    return -ENAMETOOLONG;
}

/* @verifies ATL-LLR-POSIX-0040~1 */
TEST(one_user_who_cannot_become_another)
{
    uint32_t ids[3] = {9, 9, 9};
    CHECK_EQUAL(posix_getresuid(at(&ids[0]), at(&ids[1]), at(&ids[2])), 0);
    CHECK_EQUAL(ids[0] | ids[1] | ids[2], 0);
    CHECK_EQUAL(posix_setuid(0), 0);
    CHECK_EQUAL(posix_setuid(1000), -EPERM);
    CHECK_EQUAL(posix_setgid(KEEP), -EINVAL);
    CHECK_EQUAL(posix_setresuid(KEEP, 0, KEEP), 0);
    CHECK_EQUAL(posix_setresgid(KEEP, 5, KEEP), -EPERM);
    CHECK_EQUAL(posix_setreuid(0, 0), 0);
    uint32_t groups[2] = {0, 7};
    CHECK_EQUAL(posix_setgroups(1, at(groups)), 0);
    CHECK_EQUAL(posix_setgroups(2, at(groups)), -EPERM);
    CHECK_EQUAL(posix_setgroups(1, UNMAPPED), -EFAULT);
    CHECK_EQUAL(posix_getgroups(0, 0), 0);
    CHECK_EQUAL(posix_getsid(0), 1);
    CHECK_EQUAL(posix_getpgid(77), -ESRCH);
    CHECK_EQUAL(posix_setsid(), -EPERM);
}

/* @verifies ATL-LLR-POSIX-0042~1 */
TEST(limits_are_told_and_descriptors_can_be_limited)
{
    uint64_t limit[2];
    CHECK_EQUAL(posix_getrlimit(7, at(limit)), 0);
    CHECK_EQUAL(limit[0], 1024);
    limit[0] = 100;
    CHECK_EQUAL(posix_setrlimit(7, at(limit)), 0);
    CHECK_EQUAL(descriptors, 100);
    limit[1]++;
    CHECK_EQUAL(posix_setrlimit(7, at(limit)), -EPERM);
    limit[0] = 5, limit[1] = 4;
    CHECK_EQUAL(posix_setrlimit(7, at(limit)), -EINVAL);
    CHECK_EQUAL(posix_prlimit64(0, 16, 0, at(limit)), -EINVAL);
    CHECK_EQUAL(posix_prlimit64(9, 7, 0, at(limit)), -ESRCH);
    CHECK_EQUAL(posix_prlimit64(0, 3, 0, at(limit)), 0);
    CHECK_EQUAL(limit[0], 8 << 20);
    CHECK_EQUAL(posix_getrlimit(7, UNMAPPED), -EFAULT);
    limit[0] = 1 << 20, limit[1] = 2 << 20;
    CHECK_EQUAL(posix_setrlimit(3, at(limit)), 0);
    limit[0] = limit[1] = 0;
    CHECK_EQUAL(posix_getrlimit(3, at(limit)), 0);
    CHECK(limit[0] == 1 << 20 && limit[1] == 2 << 20);
    limit[1]++;
    CHECK_EQUAL(posix_setrlimit(3, at(limit)), -EPERM);
}

/* @verifies ATL-LLR-POSIX-0041~1 */
TEST(getrandom_fills_any_length)
{
    static uint8_t buffer[1000];
    for (unsigned bytes = 0; bytes < 900; bytes += 127) {
        memset(buffer, 0, sizeof(buffer));
        CHECK_EQUAL(posix_getrandom(at(buffer), bytes, 0), bytes);
        for (unsigned i = 0; i < sizeof(buffer); i++) {
            CHECK_EQUAL(buffer[i], i < bytes ? 0x5a : 0);
        }
    }
    CHECK_EQUAL(posix_getrandom(at(buffer), 1, 8), -EINVAL);
    CHECK_EQUAL(posix_getrandom(at(buffer), 1, 6), -EINVAL);
    CHECK_EQUAL(posix_getrandom(UNMAPPED, 1, 0), -EFAULT);
}

/* @verifies ATL-LLR-POSIX-0043~1 */
TEST(prctl_keeps_the_name_and_flags)
{
    char name[16];
    CHECK_EQUAL(posix_prctl(15, at("a name that is too long for it"), 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(16, at(name), 0, 0, 0), 0);
    CHECK_STRING(name, "a name that is ");
    CHECK_EQUAL(posix_prctl(15, at("io"), 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(16, at(name), 0, 0, 0), 0);
    CHECK_STRING(name, "io");
    CHECK_EQUAL(posix_prctl(15, UNMAPPED, 0, 0, 0), -EFAULT);
    CHECK_EQUAL(posix_prctl(4, 2, 0, 0, 0), -EINVAL);
    CHECK_EQUAL(posix_prctl(4, 0, 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(3, 0, 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(39, 0, 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(38, 1, 0, 0, 0), 0);
    CHECK_EQUAL(posix_prctl(39, 0, 0, 0, 0), 1);
    CHECK_EQUAL(posix_prctl(38, 1, 1, 0, 0), -EINVAL);
    CHECK_EQUAL(posix_prctl(9999, 0, 0, 0, 0), -EINVAL);
}

/* @verifies ATL-LLR-POSIX-0044~1 */
TEST(arch_prctl_reads_and_checks)
{
    uint64_t base = 0;
    CHECK_EQUAL(posix_arch_prctl(0x1002, 1ull << 47), -EPERM);
    CHECK_EQUAL(posix_arch_prctl(0x1001, UINT64_MAX), -EPERM);
    CHECK_EQUAL(posix_arch_prctl(0x1003, at(&base)), 0);
    CHECK(base != 0); /* this thread's own thread-local memory */
    CHECK_EQUAL(posix_arch_prctl(0x1001, 0x1234000), 0);
    CHECK_EQUAL(posix_arch_prctl(0x1004, at(&base)), 0);
    CHECK_EQUAL(base, 0x1234000);
    CHECK_EQUAL(posix_arch_prctl(0x1003, UNMAPPED), -EFAULT);
    CHECK_EQUAL(posix_arch_prctl(0x3001, 0), -EINVAL);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
