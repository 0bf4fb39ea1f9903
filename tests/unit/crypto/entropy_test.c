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

/* What cores give out for the same sources, with and without samples from outside. */
static uint64_t first_word(const char *samples)
{
    uint64_t word;
    machine(false, true, false);
    stub_state = 1;
    if (samples != NULL) {
        entropy_mix(samples, strlen(samples));
    }
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    entropy_fill(&word, sizeof(word));
    return word;
}

/* The generator's state is this thread's: each in a process of its own. */
static uint64_t word_of_child(const char *samples)
{
    int ends[2];
    uint64_t word = 0;
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        word = first_word(samples);
        _exit(write(ends[1], &word, sizeof(word)) != sizeof(word));
    }
    CHECK_EQUAL(read(ends[0], &word, sizeof(word)), sizeof(word));
    CHECK(waitpid(child, NULL, 0) == child);
    close(ends[0]);
    close(ends[1]);
    return word;
}

/* @verifies ATL-LLR-ENTROPY-0011~1 */
TEST(samples_from_outside_change_what_is_given_out)
{
    uint64_t alone = word_of_child(NULL);
    CHECK(alone == word_of_child(NULL)); /* the stub repeats itself */
    CHECK(alone != word_of_child("a"));
    CHECK(word_of_child("a") != word_of_child("b"));
}

/* @verifies ATL-LLR-ENTROPY-0011~1 @robust */
TEST(samples_from_outside_do_not_count)
{
    entropy_mix("0123456789012345678901234567890123456789", 40);
    machine(false, false, false);
    CHECK_EQUAL(entropy_initialize(), RESULT_IO);
}

static unsigned refreshes;

static bool refresh(void)
{
    entropy_mix(&refreshes, sizeof(refreshes));
    refreshes++;
    return true;
}

/* @verifies ATL-LLR-ENTROPY-0011~1 */
TEST(each_reseed_asks_outside_and_adding_postpones_none)
{
    static uint8_t out[64 << 10];
    machine(true, true, true);
    CHECK_EQUAL(entropy_initialize(), RESULT_OK);
    entropy_set_refresh(refresh);
    entropy_fill(out, sizeof(out)); /* the next one finds the limit passed */
    for (unsigned i = 1; i <= 3; i++) {
        entropy_fill(out, 1);
        CHECK_EQUAL(refreshes, i);
        entropy_fill(out, sizeof(out) - 2);
        entropy_mix("x", 1);
        entropy_fill(out, 1);
        CHECK_EQUAL(refreshes, i);
    }
    entropy_set_refresh(NULL);
}

CHECK_MAIN()
