/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for kernel/cpu's header of the same name. */
#ifndef CPU_INSTRUCTIONS_H
#define CPU_INSTRUCTIONS_H

#include <stub_instructions.h>

static inline bool cpu_rdrand(uint64_t *value)
{
    *value = stub_rdrand_works ? stub_random() : UINT64_MAX;
    return true;
}

static inline bool cpu_rdseed(uint64_t *value)
{
    *value = stub_random();
    return stub_rdseed_works;
}

static inline uint64_t cpu_rdtsc(void)
{
    static uint64_t now;
    now += stub_tsc_is_stuck ? 40 : 40 + (stub_random() >> 33) % 32;
    return now;
}

static inline void cpu_pause(void)
{
}

#endif
