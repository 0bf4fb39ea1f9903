/* SPDX-License-Identifier: Apache-2.0 */
/* Simulated hardware for entropy_test.c. */
#ifndef STUB_INSTRUCTIONS_H
#define STUB_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

extern bool stub_rdrand_works, stub_rdseed_works, stub_tsc_is_stuck;
extern uint64_t stub_state;

static inline uint64_t stub_random(void)
{
    stub_state = stub_state * 6364136223846793005ull + 1442695040888963407ull;
    return stub_state ^ stub_state >> 31;
}

#endif
