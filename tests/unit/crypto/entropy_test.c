/* SPDX-License-Identifier: Apache-2.0 */
/* The boot of the generators on simulated hardware: which sources are used, when boot refuses, and
 * that cores differ. */
#include "check.h"

#include <crypto/entropy.h>
#include <kernel/facts.h>
#include <stub_instructions.h>

struct facts shared_facts;
bool stub_rdrand_works, stub_rdseed_works, stub_tsc_is_stuck;
uint64_t stub_state;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

static void machine(bool rdseed, bool rdrand, bool tsc)
{
    shared_facts.has_rdseed = shared_facts.has_rdrand = true;
    stub_rdseed_works = rdseed;
    stub_rdrand_works = rdrand;
    stub_tsc_is_stuck = !tsc;
}

/* @verifies ATL-LLR-ENTROPY-0008~1 */
TEST(only_sources_that_pass_are_used)
{
    machine(true, true, true);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    CHECK_STRING(entropy_sources(), "rdseed rdrand jitter");
    machine(false, true, true);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    CHECK_STRING(entropy_sources(), "rdrand jitter");
    machine(false, false, true);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    CHECK_STRING(entropy_sources(), "jitter");
    machine(false, true, false);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    CHECK_STRING(entropy_sources(), "rdrand");
}

/* @verifies ATL-LLR-ENTROPY-0009~1 */
TEST(without_any_source_boot_refuses)
{
    machine(false, false, false);
    CHECK_EQUAL(entropy_initialize(), RESULT_IO);
}

/* @verifies ATL-LLR-ENTROPY-0010~1 */
TEST(outputs_do_not_repeat_over_a_reseed)
{
    static uint8_t out[2][100 << 10];
    machine(true, true, true);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    entropy_fill(out[0], sizeof(out[0]));
    uint64_t reads_before = stub_state;
    entropy_fill(out[1], sizeof(out[1]));
    CHECK(stub_state != reads_before); /* the second request found the limit passed */
    CHECK(memcmp(out[0], out[1], sizeof(out[0])) != 0);
    CHECK_ABORTS(entropy_core_start((core_id_t){1})); /* this core is seeded */
}

CHECK_MAIN()
