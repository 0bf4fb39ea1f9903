/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor can do, and what it must. */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <cpu/instructions.h>

/* A leaf; zeros if it is beyond the highest of its range. @leaf of a hypervisor: only if there is
 * one
 */
struct cpu_id cpu_features_leaf(uint32_t leaf, uint32_t subleaf);

/* Validator of what CPUID tells: fills the CPU part of shared_facts, each word of it asked for
 * once, and sets the flags that assembly branches on. Boot core, once, before seal.
 *
 * @lacks   called with the name of each required feature that is missing, in the order to report
 * Returns how many are missing; the processor is not to be used if it is not 0. */
uint32_t cpu_features_decode(void (*lacks)(const char *name));

#endif
