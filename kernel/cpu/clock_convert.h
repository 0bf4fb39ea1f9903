/* SPDX-License-Identifier: Apache-2.0 */
/* Pure conversions between what clocks say and what the kernel keeps; hosted tests include this. */
#ifndef KERNEL_CPU_CLOCK_CONVERT_H
#define KERNEL_CPU_CLOCK_CONVERT_H

#include <kernel/facts.h>

#define NS_PER_SECOND 1000000000ull
#define CLOCK_HZ_MIN 1000000ull      /* a TSC below 1 MHz */
#define CLOCK_HZ_MAX 100000000000ull /* or above 100 GHz is a wrong answer */

/* ns = (ticks * multiplier) >> 32. @hz in CLOCK_HZ_MIN..CLOCK_HZ_MAX */
uint64_t clock_multiplier(uint64_t hz);

/* The TSC frequency of a paravirtual clock, whose ns = ((ticks << shift) * scale) >> 32; 0 if the
 * pair is not a frequency that we accept. */
uint64_t clock_hz_from_scale(uint32_t scale, int8_t shift);

/* ticks counted while a clock of reference_hz advanced by reference_ticks; 0: not accepted. Also
 * the ratio of CPUID 15h to a crystal. */
uint64_t clock_hz_from_ratio(uint64_t ticks, uint64_t reference_ticks, uint64_t reference_hz);

#endif
