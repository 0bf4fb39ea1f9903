/* SPDX-License-Identifier: Apache-2.0 */
/* Raw gate calls by `syscall` from code made at run time, beside the program's own posix/, and the
 * count of their results against the gate's definition. On Linux the calls are unknown (ENOSYS). */
#ifndef CONFORMANCE_GATE_RAW_H
#define CONFORMANCE_GATE_RAW_H

#include "../fault.h"
#include <isolation/gate_abi.h>
#include <sys/mman.h>

#define PAGE 4096ull
#define ERRNO_KINDS 6
#define KERNEL_ADDRESS 0xffffffff80000000ull

struct gate_definition {
    const char *name;
    int returns_value; /* a success may be greater than 0 */
    int errors[ERRNO_KINDS];
};

/* As in isolation/gate/gate.toml. */
static const struct gate_definition definitions[GATE_CALL_COUNT] = {
    [GATE_EXIT] = {"exit", 0, {EINVAL}},
    [GATE_THREAD_CREATE] = {"thread_create", 1, {EINVAL, EAGAIN}},
    [GATE_THREAD_EXIT] = {"thread_exit", 0, {EFAULT, EINVAL}},
    [GATE_THREAD_SET] = {"thread_set", 1, {EINVAL, ESRCH, EAGAIN}},
    [GATE_PARK] = {"park", 0, {ETIMEDOUT, EINVAL}},
    [GATE_UNPARK] = {"unpark", 0, {ESRCH, EINVAL}},
    [GATE_MAP] = {"map", 0, {EINVAL, EEXIST, ENOMEM, EACCES}},
    [GATE_UNMAP] = {"unmap", 0, {EINVAL, ENOMEM}},
    [GATE_PROTECT] = {"protect", 0, {EINVAL, ENOMEM, EACCES}},
    [GATE_CONSOLE] = {"console", 1, {EINVAL, EFAULT, EAGAIN, EXDEV}},
    [GATE_RANDOM] = {"random", 0, {EINVAL, EFAULT}},
    [GATE_INFORMATION] = {"information", 1, {EINVAL, EPERM}},
    [GATE_KICK] = {"kick", 1, {EINVAL, EIO}},
};

typedef int64_t (*raw_call)(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                            uint64_t e);
static raw_call gate; /* code made at run time: no packer can rewrite it */

/* mov %rdi,%rax; mov %rsi,%rdi; mov %rdx,%rsi; mov %rcx,%rdx; mov %r8,%r10; mov %r9,%r8;
 * syscall; ret */
static const unsigned char raw_code[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48,
                                         0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89,
                                         0xc2, 0x4d, 0x89, 0xc8, 0x0f, 0x05, 0xc3};

static int has_gate;
static _Atomic uint64_t results[GATE_CALL_COUNT][ERRNO_KINDS + 1]; /* [0]: success */

static int64_t call(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    return gate(GATE_CALL_BASE + number, a, b, c, d, e);
}

/* Counts a result; fails for one that the definition does not allow. */
static void judge(unsigned number, int64_t result)
{
    const struct gate_definition *definition = &definitions[number];
    if (result >= 0) {
        CHECK(result == 0 || definition->returns_value);
        results[number][0]++;
        return;
    }
    for (int i = 0; i < ERRNO_KINDS && definition->errors[i] != 0; i++) {
        if (-result == definition->errors[i]) {
            results[number][i + 1]++;
            return;
        }
    }
    fprintf(stderr, "gate %s: result %lld is not allowed\n", definition->name, (long long)result);
    CHECK(!"result of a gate call is allowed");
}

static void find_gate(void)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, raw_code, sizeof(raw_code));
    CHECK_EQUAL(mprotect(page, PAGE, PROT_READ | PROT_EXEC), 0);
    gate = (raw_call)(uintptr_t)page;
    int64_t mine = call(GATE_THREAD_SET, 0, GATE_KEEP, GATE_KEEP, 0, 0);
    has_gate = mine != -ENOSYS;
    CHECK(mine > 0 || !has_gate);
    for (unsigned number = GATE_CALL_COUNT; number < 64; number++) {
        CHECK_EQUAL(call(number, 0, 0, 0, 0, 0), -ENOSYS); /* not the gate's: posix/ answers */
    }
    if (!has_gate) {
        puts("no gate here");
    }
}

static void print_table(void)
{
    for (unsigned number = 0; number < GATE_CALL_COUNT; number++) {
        fprintf(stderr, "%-14s ok %llu", definitions[number].name,
                (unsigned long long)results[number][0]);
        for (int i = 0; i < ERRNO_KINDS && definitions[number].errors[i] != 0; i++) {
            fprintf(stderr, ", %s %llu", strerror(definitions[number].errors[i]),
                    (unsigned long long)results[number][i + 1]);
        }
        fputc('\n', stderr);
    }
}

/* Each core judges its own tables. */
__attribute__((unused)) static void check_audits(int64_t wanted)
{
    for (int core = 0; core < check_all_cores_count; core++) {
        check_pin(core);
        CHECK_EQUAL(call(GATE_INFORMATION, GATE_INFORMATION_AUDIT, 0, 0, 0, 0), wanted);
    }
    check_unpin();
}

#endif
