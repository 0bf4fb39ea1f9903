/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded delays; see percpu/perturb.h. */

#include "perturb.h"

static PERCORE uint64_t state;

void percpu_perturb_seed(uint64_t seed)
{
    state = seed;
}

void percpu_perturb_delay(uint32_t step)
{
    if (state == 0) {
        return;
    }
    /* xorshift64*: never reaches 0 from another value. */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    uint64_t random = (state + step) * 0x2545f4914f6cdd1dull;
    /* Mostly short, seldom long: both orders of two near steps must occur. */
    uint32_t spins = (uint32_t)(random >> 56) % ((random & 7) == 0 ? PERCPU_PERTURB_SPINS_MAX : 8u);
    for (volatile uint32_t i = 0; i < spins; i++) {
    }
}
