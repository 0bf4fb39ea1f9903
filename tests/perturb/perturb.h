/* SPDX-License-Identifier: Apache-2.0 */
/* Random delays at the steps that percpu names by PERCPU_PERTURB (percpu/base.h). */
#ifndef TESTS_PERTURB_H
#define TESTS_PERTURB_H

#include <percpu/base.h>

/* Sets this core's sequence of delays; 0: none. Print the seed to be able to repeat a run. */
void percpu_perturb_seed(uint64_t seed);
/* Spins 0..PERCPU_PERTURB_SPINS_MAX-1 times; step, a line number, tells apart the places. */
void percpu_perturb_delay(uint32_t step);
#define PERCPU_PERTURB_SPINS_MAX 256u

#endif
