/* SPDX-License-Identifier: Apache-2.0 */
/* Random delays between the steps of channels and scheduler, for builds that hunt races: the same
 * code, other interleavings. PERCPU_PERTURB costs nothing in other builds. */
#ifndef PERCPU_PERTURB_H
#define PERCPU_PERTURB_H

#include <percpu/base.h>

/* Sets this core's sequence of delays; 0: none. Print the seed to be able to repeat a run. */
void percpu_perturb_seed(uint64_t seed);
/* Spins 0..PERCPU_PERTURB_SPINS_MAX-1 times; step tells apart the places. */
void percpu_perturb_delay(uint32_t step);
#define PERCPU_PERTURB_SPINS_MAX 256u

#ifdef ATOLL_PERTURB
#define PERCPU_PERTURB(step) percpu_perturb_delay(step)
#else
#define PERCPU_PERTURB(step) ((void)(step))
#endif

/* The places. */
enum {
    PERTURB_SEND_SLOT,
    PERTURB_SEND_HEAD,
    PERTURB_NOTIFY,
    PERTURB_TAKE,
    PERTURB_DRAIN,
    PERTURB_SIGNAL_LEAF,
    PERTURB_SIGNAL_GROUP,
    PERTURB_SIGNAL_TAKE,
    PERTURB_CELL,
    PERTURB_SCHEDULE,
    PERTURB_PARK,
};

#endif
