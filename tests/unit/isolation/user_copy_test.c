/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses reach the copy at all. The copy itself is kernel/cpu's; here it only counts. */
#include "space.h"

#include "check.h"

#include <cpu/exception.h>

static unsigned copies;
static uint64_t missing;

uint64_t cpu_user_copy(void *to, const void *from, uint64_t bytes)
{
    (void)to, (void)from;
    copies++;
    return missing <= bytes ? missing : bytes;
}

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

#define LAST (0x0000800000000000ull - PAGE_BYTES)

/* @verifies ATL-LLR-ISOL-0016~1 */
TEST(only_the_user_half_is_copied)
{
    static const struct {
        uint64_t address, bytes;
        bool is_user;
    } cases[] = {
        {0, 1, false},
        {0xffff, 1, false},
        {0xffff, 4096, false},
        {0x10000, 4096, true},
        {LAST - 8, 8, true},
        {LAST - 8, 9, false},
        {LAST, 1, false},
        {0x0000800000000000ull, 8, false},
        {0xffff800000000000ull, 8, false},
        {0xffffffff80000000ull, 8, false},
        {UINT64_MAX - 3, 4, false},
        {UINT64_MAX, 4096, false},
    };
    uint8_t buffer[4096];
    missing = 0;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t fault = 0;
        copies = 0;
        enum result expected = cases[i].is_user ? RESULT_OK : RESULT_FAULT;
        CHECK_EQUAL(isolation_copy_from_user(buffer, cases[i].address, cases[i].bytes, &fault),
                    expected);
        CHECK_EQUAL(isolation_copy_to_user(cases[i].address, buffer, cases[i].bytes, &fault),
                    expected);
        CHECK_EQUAL(copies, cases[i].is_user ? 2 : 0);
        CHECK(cases[i].is_user || fault == cases[i].address);
    }
}

/* @verifies ATL-LLR-ISOL-0016~1 */
TEST(a_fault_names_the_first_byte_that_is_missing)
{
    uint8_t buffer[64];
    uint64_t fault = 0;
    missing = 24;
    CHECK_EQUAL(isolation_copy_from_user(buffer, 0x20000, 64, &fault), RESULT_FAULT);
    CHECK_EQUAL(fault, 0x20000 + 40);
    CHECK_EQUAL(isolation_copy_to_user(0x20000, buffer, 64, &fault), RESULT_FAULT);
    CHECK_EQUAL(fault, 0x20000 + 40);
    CHECK_EQUAL(isolation_copy_to_user(0, buffer, 0, &fault), RESULT_OK);
    CHECK_ABORTS((void)isolation_copy_to_user(0x20000, buffer, 4097, &fault));
}

CHECK_MAIN()
