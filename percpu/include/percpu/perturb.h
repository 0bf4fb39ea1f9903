/* SPDX-License-Identifier: Apache-2.0 */
/* Random delays between the steps of channels and scheduler, for builds that hunt races: the same
 * code, other interleavings. PERCPU_PERTURB costs nothing in other builds. */
#ifndef PERCPU_PERTURB_H
#define PERCPU_PERTURB_H

#include <percpu/base.h>

/* Sets this core's sequence of delays; 0: none. Print the seed to be able to repeat a run. */
void percpu_perturb_seed(uint64_t seed);
/* Spins 0..PERCPU_PERTURB_SPINS_MAX-1 times; step, a line number, tells apart the places. */
void percpu_perturb_delay(uint32_t step);
#define PERCPU_PERTURB_SPINS_MAX 256u

#ifdef ATOLL_PERTURB
#define PERCPU_PERTURB() percpu_perturb_delay(__LINE__)
#else
#define PERCPU_PERTURB() ((void)0)
#endif

#endif
