/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor can do, and what it must. */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <cpu/instructions.h>
#include <percpu/base.h>

struct facts;

/* CPUID: cpu_cpuid, or a test. */
typedef struct cpu_id (*cpu_cpuid_by)(uint32_t leaf, uint32_t subleaf);

/* A leaf; zeros if it is beyond the highest of its range. @leaf of a hypervisor: only if there is
 * one
 */
struct cpu_id cpu_features_leaf(cpu_cpuid_by cpuid, uint32_t leaf, uint32_t subleaf);

/* Who answers: the processor, by the instructions of these names, or a test. */
struct cpu_source {
    cpu_cpuid_by cpuid;
    uint64_t (*rdmsr)(uint32_t msr);
};

/* Validator of what CPUID tells: fills the CPU part of facts, each word of it asked for once. Pure.
 *
 * @lacks   called with the name of each required feature that is missing, in the order to report
 * Returns how many are missing; the processor is not to be used if it is not 0. */
uint32_t cpu_features_decode(const struct cpu_source *source, struct facts *facts,
                             void (*lacks)(const char *name));

/* Sets the flags that assembly branches on. Boot core, once, before seal. */
void cpu_features_apply(const struct facts *facts);

#endif
