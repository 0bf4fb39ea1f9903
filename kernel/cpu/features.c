/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/features.h>
#include <cpu/msr.h>
#include <kernel/facts.h>

#define LEAF_STRUCTURE 7u
#define LEAF_EXTENDED_STATE 0xdu
#define LEAF_EXTENDED 0x80000000u
#define ARCH_CAPABILITIES_BIT (1u << 29) /* CPUID 7.0 EDX */

/* Read by assembly: is STAC there; may whole pages be written by 32-byte stores. */
extern uint8_t shared_cpu_has_smap, shared_cpu_page_by_avx;
SHARED uint8_t shared_cpu_has_smap;
SHARED uint8_t shared_cpu_page_by_avx;

void cpu_features_read(struct cpu_leaves *leaves)
{
    *leaves = (struct cpu_leaves){0};
    leaves->vendor = cpu_cpuid(0, 0);
    uint32_t basic_max = leaves->vendor.eax;
    leaves->basic = cpu_cpuid(1, 0);
    if (basic_max >= LEAF_STRUCTURE) {
        leaves->structure = cpu_cpuid(LEAF_STRUCTURE, 0);
    }
    if (basic_max >= LEAF_EXTENDED_STATE) {
        for (uint32_t i = 0; i < CPU_EXTENDED_COMPONENTS; i++) {
            leaves->extended_state[i] = cpu_cpuid(LEAF_EXTENDED_STATE, i);
        }
    }
    uint32_t extended_max = cpu_cpuid(LEAF_EXTENDED, 0).eax;
    if (extended_max >= LEAF_EXTENDED + 1) {
        leaves->extended = cpu_cpuid(LEAF_EXTENDED + 1, 0);
    }
    if (extended_max >= LEAF_EXTENDED + 8) {
        leaves->address = cpu_cpuid(LEAF_EXTENDED + 8, 0);
    }
    if ((leaves->structure.edx & ARCH_CAPABILITIES_BIT) != 0) {
        leaves->arch_capabilities = cpu_rdmsr(MSR_ARCH_CAPABILITIES);
    }
}

void cpu_features_apply(void)
{
    shared_cpu_has_smap = shared_facts.has_smap;
    shared_cpu_page_by_avx =
        shared_facts.has_avx && (shared_facts.extended_mask & XCR0_AVX512) == 0;
}
