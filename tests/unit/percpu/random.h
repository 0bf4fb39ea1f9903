/* SPDX-License-Identifier: Apache-2.0 */
/* A repeatable sequence for random tests (xorshift64*). */
#ifndef TESTS_UNIT_PERCPU_RANDOM_H
#define TESTS_UNIT_PERCPU_RANDOM_H

#include <stdint.h>

/* @state: not 0. Returns 0 .. limit - 1. */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 32) % limit;
}

#endif
