/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor can do, and what it must. The decoder is pure and runs hosted. */
#ifndef CPU_FEATURES_H
#define CPU_FEATURES_H

#include <cpu/instructions.h>
#include <percpu/base.h>

struct facts;

#define CPU_EXTENDED_COMPONENTS 8u /* x87, SSE, AVX, (two of MPX), three of AVX-512 */

/* CPUID leaves as they were read; leaves beyond the maxima are zero. */
struct cpu_leaves {
    struct cpu_id vendor;                                  /* 0 */
    struct cpu_id basic;                                   /* 1 */
    struct cpu_id structure;                               /* 7.0 */
    struct cpu_id extended_state[CPU_EXTENDED_COMPONENTS]; /* 0Dh.n */
    struct cpu_id extended;                                /* 80000001h */
    struct cpu_id address;                                 /* 80000008h */
    uint64_t arch_capabilities;                            /* the MSR, 0 if there is none */
};

/* Names of required features that are missing, in the order in which to report them. */
struct cpu_missing {
    const char *names[16];
    uint32_t count;
};

/* Reads the leaves once. Boot core. */
void cpu_features_read(struct cpu_leaves *leaves);

/* Fills the CPU part of facts from the leaves.
 * Errors: RESULT_INVALID something required is missing: *missing names all of it */
enum result cpu_features_decode(const struct cpu_leaves *leaves, struct facts *facts,
                                struct cpu_missing *missing);

/* Sets the flags that assembly branches on, from shared_facts. Boot core, once, before seal. */
void cpu_features_apply(void);

#endif
