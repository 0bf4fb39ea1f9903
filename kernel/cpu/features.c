/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID leaves to facts. Bit positions: SDM volume 2, CPUID; AMD APM volume 3, appendix E. */
#include <cpu/features.h>
#include <cpu/msr.h>
#include <kernel/facts.h>

#define LEAF_STRUCTURE 7u
#define LEAF_EXTENDED_STATE 0xdu
#define LEAF_EXTENDED 0x80000000u
#define LEAF_RANGE 0xffffff00u /* its first leaf tells the highest */

#define BIT(word, position) ((((word) >> (position)) & 1u) != 0)

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define EXTENDED_COMPONENTS 8u       /* x87, SSE, AVX, (two of MPX), three of AVX-512 */
#define EXTENDED_HEADER_BYTES 576u   /* legacy region and XSAVE header */
#define ADDRESS_BITS_DEFAULT 36u
#define ADDRESS_BITS_MAX 52u

/* Read by assembly: is STAC there; may whole pages be written by 32-byte stores. */
extern uint8_t shared_cpu_has_smap, shared_cpu_page_by_avx;
SHARED uint8_t shared_cpu_has_smap;
SHARED uint8_t shared_cpu_page_by_avx;

/* @impl ATL-LLR-BOOT-0012~2 */
struct cpu_id cpu_features_leaf(uint32_t leaf, uint32_t subleaf)
{
    uint32_t leaf_max = cpu_cpuid(leaf & LEAF_RANGE, 0).eax;
    return leaf <= leaf_max ? cpu_cpuid(leaf, subleaf) : (struct cpu_id){0};
}

/* XCR0: x87, SSE and, where offered, AVX and all three parts of AVX-512. Never AMX: its 8 KiB would
 * not fit the page in which a thread's state moves between cores. */
static uint64_t extended_mask(bool has_avx, uint64_t offered)
{
    uint64_t mask = XCR0_X87 | XCR0_SSE;
    if (has_avx && (offered & XCR0_AVX) != 0) {
        mask |= XCR0_AVX;
        if ((offered & XCR0_AVX512) == XCR0_AVX512) {
            mask |= XCR0_AVX512;
        }
    }
    return mask;
}

/* Size of the standard-format area for a mask: the end of its last component. */
static uint32_t extended_bytes(uint64_t mask)
{
    uint32_t end = EXTENDED_HEADER_BYTES;
    for (uint32_t i = 2; i < EXTENDED_COMPONENTS; i++) {
        struct cpu_id component = cpu_features_leaf(LEAF_EXTENDED_STATE, i);
        if (BIT(mask, i) && component.ebx < PAGE_BYTES && component.eax < PAGE_BYTES) {
            end = MAX(end, component.ebx + component.eax);
        }
    }
    return end;
}

/* @impl ATL-LLR-BOOT-0012~2 */
uint32_t cpu_features_decode(void (*lacks)(const char *name))
{
    struct facts *facts = &shared_facts;
    struct cpu_id basic = cpu_features_leaf(1, 0);
    struct cpu_id structure = cpu_features_leaf(LEAF_STRUCTURE, 0);
    struct cpu_id extended = cpu_features_leaf(LEAF_EXTENDED + 1, 0);
    const struct {
        bool is_present;
        const char *name;
    } required[] = {
        {BIT(structure.ebx, 0), "FSGSBASE"}, {BIT(extended.edx, 20), "NX"},
        {BIT(basic.ecx, 26), "XSAVE"},       {BIT(extended.edx, 11), "SYSCALL"},
        {BIT(basic.edx, 9), "APIC"},         {BIT(basic.edx, 4), "TSC"},
        {BIT(basic.edx, 24), "FXSR"},        {BIT(basic.edx, 26), "SSE2"},
        {BIT(basic.ecx, 20), "SSE4.2"},
    };
    uint32_t missing = 0;
    for (size_t i = 0; i < ARRAY_COUNT(required); i++) {
        if (!required[i].is_present) {
            lacks(required[i].name);
            missing++;
        }
    }
    facts->has_smep = BIT(structure.ebx, 7);
    facts->has_smap = BIT(structure.ebx, 20);
    facts->has_umip = BIT(structure.ecx, 2);
    facts->has_rdrand = BIT(basic.ecx, 30);
    facts->has_rdseed = BIT(structure.ebx, 18);
    facts->has_x2apic = BIT(basic.ecx, 21);
    facts->has_1g_pages = BIT(extended.edx, 26);
    facts->has_rdtscp = BIT(extended.edx, 27);
    facts->has_xsaveopt = BIT(cpu_features_leaf(LEAF_EXTENDED_STATE, 1).eax, 0);
    uint64_t promises = BIT(structure.edx, 29) ? cpu_rdmsr(MSR_ARCH_CAPABILITIES) : 0;
    facts->meltdown_possible = cpu_features_leaf(0, 0).ebx == VENDOR_INTEL_EBX &&
                               (promises & MSR_ARCH_CAPABILITIES_RDCL_NO) == 0;
    facts->info.extended_mask =
        extended_mask(BIT(basic.ecx, 28), cpu_features_leaf(LEAF_EXTENDED_STATE, 0).eax);
    facts->has_avx = (facts->info.extended_mask & XCR0_AVX) != 0;
    facts->info.extended_bytes = extended_bytes(facts->info.extended_mask);
    uint8_t bits = (uint8_t)cpu_features_leaf(LEAF_EXTENDED + 8, 0).eax;
    facts->physical_address_bits =
        bits >= 32 && bits <= ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_DEFAULT;
    shared_cpu_has_smap = facts->has_smap;
    shared_cpu_page_by_avx = facts->has_avx && (facts->info.extended_mask & XCR0_AVX512) == 0;
    return missing;
}
