/* SPDX-License-Identifier: Apache-2.0 */
/* The health tests at their cut-offs, and sources that are stuck, biased, silent or good. */
#include "source.h"

#include "check.h"

static uint64_t state;

static uint8_t good_byte(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint8_t)(state >> 40);
}

/* @verifies ATL-LLR-ENTROPY-0005~1 */
TEST(repetitions_fail_at_the_cut_off)
{
    struct health health;
    health_begin(&health, HEALTH_FOUR_BITS);
    CHECK(health_sample(&health, 1));
    for (unsigned i = 0; i < 5; i++) {
        CHECK(health_sample(&health, 7));
    }
    CHECK(health_sample(&health, 8));
    for (unsigned i = 0; i < 5; i++) {
        CHECK(health_sample(&health, 7));
    }
    CHECK(!health_sample(&health, 7));
    CHECK(!health_sample(&health, 9)); /* stays failed */
}

/* Every second sample is the window's first: 62 of 512 are too many. @verifies
 * ATL-LLR-ENTROPY-0006~1 */
TEST(a_frequent_value_fails_at_the_cut_off)
{
    struct health health;
    health_begin(&health, HEALTH_FOUR_BITS);
    for (unsigned i = 0; i < 61; i++) {
        CHECK(health_sample(&health, 5));
        CHECK(health_sample(&health, (uint8_t)(100 + i)));
    }
    CHECK(!health_sample(&health, 5));
}

/* @verifies ATL-LLR-ENTROPY-0006~1 */
TEST(a_new_window_counts_anew)
{
    struct health health;
    health_begin(&health, HEALTH_FOUR_BITS);
    for (unsigned i = 0; i < 100 * HEALTH_WINDOW; i++) {
        bool is_marked = i % 9 == 0; /* 57 of 512 */
        CHECK(health_sample(&health, is_marked ? 5 : (uint8_t)(10 + i % 200)));
    }
}

static bool read_good(uint64_t *word)
{
    *word = 0;
    for (unsigned i = 0; i < 8; i++) {
        *word = *word << 8 | good_byte();
    }
    return true;
}

static bool read_stuck(uint64_t *word)
{
    *word = 0x0123456789abcdefull;
    return true;
}

static bool read_zero(uint64_t *word)
{
    *word = 0;
    return true;
}

static bool read_never(uint64_t *word)
{
    state++;
    (void)word;
    return false;
}

/* Words differ, but every second byte is the same. */
static bool read_biased(uint64_t *word)
{
    *word = (++state << 56) | 0x0041444143414241ull;
    return true;
}

static bool collect(bool (*read)(uint64_t *), unsigned words)
{
    struct source source;
    struct sha256 hash;
    sha256_begin(&hash);
    source_begin(&source, read, HEALTH_FOUR_BITS);
    bool first = source_collect(&source, &hash, words);
    CHECK(first || !source_collect(&source, &hash, 1)); /* stays unused */
    return first;
}

/* @verifies ATL-LLR-ENTROPY-0007~1 */
TEST(bad_sources_are_not_used)
{
    state = 1;
    CHECK(collect(read_good, SOURCE_STARTUP_WORDS));
    CHECK(!collect(read_stuck, 2));
    CHECK(!collect(read_zero, 1));
    CHECK(!collect(read_biased, SOURCE_STARTUP_WORDS));
    state = 0;
    CHECK(!collect(read_never, 1));
    CHECK(state <= 2 * SOURCE_RETRIES_MAX);
}

CHECK_MAIN()
