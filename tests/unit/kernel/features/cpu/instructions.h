/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for kernel/cpu's header of the same name: the test answers. */
#ifndef CPU_INSTRUCTIONS_H
#define CPU_INSTRUCTIONS_H

#include <stdint.h>

struct cpu_id {
    uint32_t eax, ebx, ecx, edx;
};

struct cpu_id cpu_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t cpu_rdmsr(uint32_t msr);

#endif
