/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of everything below the gate: result codes, address kinds, assertions, and the two
 * places where a writable file-scope variable may live. Freestanding; also compiled hosted, where a
 * core is a host thread and PERCORE is thread-local.
 *
 * Error policy: a caller's or a peer's mistake is a returned result; our own mistake is an ASSERT.
 */
#ifndef PERCPU_BASE_H
#define PERCPU_BASE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define CORE_COUNT_MAX 64u
#define PAGE_BYTES 4096ull
#define LARGE_PAGE_BYTES (2ull << 20)
#define HUGE_PAGE_BYTES (1ull << 30)

/* Every failure below the gate is one of these; the value is the negated Linux errno, so that a
 * gate handler returns it as it is. */
enum [[nodiscard]] result{
    RESULT_OK = 0,
    RESULT_PERMISSION = -1,  /* EPERM: the operation is not for this caller */
    RESULT_NO_THREAD = -3,   /* ESRCH: the handle names no live thread */
    RESULT_IO = -5,          /* EIO: a device failed */
    RESULT_FORMAT = -8,      /* ENOEXEC: malformed input */
    RESULT_AGAIN = -11,      /* EAGAIN: no credit, queue full or pool empty: try later */
    RESULT_NO_MEMORY = -12,  /* ENOMEM */
    RESULT_ACCESS = -13,     /* EACCES: rights do not allow it (W+X) */
    RESULT_FAULT = -14,      /* EFAULT: bad user address */
    RESULT_EXISTS = -17,     /* EEXIST: something is mapped there */
    RESULT_OTHER_CORE = -18, /* EXDEV: a service of another core */
    RESULT_INVALID = -22,    /* EINVAL */
    RESULT_RANGE = -34,      /* ERANGE */
    RESULT_NO_CALL = -38,    /* ENOSYS */
    RESULT_TIMED_OUT = -110, /* ETIMEDOUT */
};

/* Returns the failure of EXPRESSION to the caller; the only early-return macro. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum result try_result_ = (expression);                                                    \
        if (try_result_ != RESULT_OK) {                                                            \
            return try_result_;                                                                    \
        }                                                                                          \
    } while (0)

typedef struct {
    uint64_t value;
} paddr_t; /* physical byte address */

typedef struct {
    uint16_t value;
} core_id_t; /* 0 .. core count - 1, dense; not the APIC id */

/* Linker sections of the kernel. PERCORE: this core's own instance; one virtual address, other
 * memory on each core; zero at start, no initialiser allowed (the section is NOBITS).
 * SHARED: written by the boot core before seal, read-only for everybody afterwards; names begin
 * with shared_. Anything writable that is in neither fails the link. */
#ifdef ATOLL_HOSTED
#include "../../host/sections.h"
#else
#define PERCORE __attribute__((section(".percore")))
#define SHARED __attribute__((section(".boot_facts")))
#endif

/* Stops the machine with a report. In every build; EXPRESSION has no side effect.
 * Never on data from a device, a wire or ring 3. */
noreturn void percpu_assert_failed(const char *expression, const char *file, int line);
#define ASSERT(expression)                                                                         \
    ((expression) ? (void)0 : percpu_assert_failed(#expression, __FILE_NAME__, __LINE__))

/* A step of channels or scheduler: builds that hunt races delay there at random (tests/perturb):
 * the same code, other interleavings. */
#ifdef ATOLL_PERTURB
void percpu_perturb_delay(uint32_t line);
#define PERCPU_PERTURB() percpu_perturb_delay(__LINE__)
#else
#define PERCPU_PERTURB() ((void)0)
#endif

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(value, alignment) ((value) & ~((alignment)-1))
#define ALIGN_UP(value, alignment) ALIGN_DOWN((value) + (alignment)-1, alignment)
#define IS_ALIGNED(value, alignment) (((value) & ((alignment)-1)) == 0)

#endif
