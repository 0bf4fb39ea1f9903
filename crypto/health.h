/* SPDX-License-Identifier: Apache-2.0 */
/* Continuous health tests of a noise source whose samples are bytes. Source: NIST SP 800-90B,
 * "Repetition Count Test" and "Adaptive Proportion Test", false-positive rate 2^-20. */
#ifndef CRYPTO_HEALTH_H
#define CRYPTO_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_WINDOW 512u

/* Cut-offs for the min-entropy that is claimed for a sample. */
struct health_limits {
    uint16_t repetitions; /* 1 + ceil(20 / H) */
    uint16_t proportion;  /* 1 + critical value of binomial(512, 2^-H) at 1 - 2^-20 */
};
#define HEALTH_HALF_BIT ((struct health_limits){41, 410}) /* H = 0.5: timing jitter */
#define HEALTH_FOUR_BITS ((struct health_limits){6, 62})  /* H = 4: hardware generators */

struct health {
    struct health_limits limits;
    uint16_t repeated, window_at, window_count;
    uint8_t last, window_first;
    bool has_failed; /* stays */
};

void health_begin(struct health *health, struct health_limits limits);
/* False: the source has failed a test, now or before. */
bool health_sample(struct health *health, uint8_t sample);

#endif
