/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: CPUID leaves to facts. Bit positions: SDM volume 2, CPUID; AMD APM volume 3, appendix E. */
#include <cpu/features.h>
#include <cpu/msr.h>
#include <kernel/facts.h>

#define BIT(word, position) ((((word) >> (position)) & 1u) != 0)

#define VENDOR_INTEL_EBX 0x756e6547u /* "Genu" */
#define EXTENDED_HEADER_BYTES 576u   /* legacy region and XSAVE header */
#define ADDRESS_BITS_DEFAULT 36u
#define ADDRESS_BITS_MAX 52u

static void require(struct cpu_missing *missing, bool is_present, const char *name)
{
    if (!is_present && missing->count < ARRAY_COUNT(missing->names)) {
        missing->names[missing->count++] = name;
    }
}

/* XCR0: x87, SSE and, where offered, AVX and all three parts of AVX-512. Never AMX: its 8 KiB would
 * not fit the page in which a thread's state moves between cores. */
static uint64_t extended_mask(const struct cpu_leaves *leaves)
{
    uint64_t offered = leaves->extended_state[0].eax;
    uint64_t mask = XCR0_X87 | XCR0_SSE;
    if (BIT(leaves->basic.ecx, 28) && (offered & XCR0_AVX) != 0) {
        mask |= XCR0_AVX;
        if ((offered & XCR0_AVX512) == XCR0_AVX512) {
            mask |= XCR0_AVX512;
        }
    }
    return mask;
}

/* Size of the standard-format area for a mask: the end of its last component. */
static uint32_t extended_bytes(const struct cpu_leaves *leaves, uint64_t mask)
{
    uint32_t end = EXTENDED_HEADER_BYTES;
    for (uint32_t i = 2; i < CPU_EXTENDED_COMPONENTS; i++) {
        const struct cpu_id *component = &leaves->extended_state[i];
        if (((mask >> i) & 1u) != 0 && component->ebx < PAGE_BYTES && component->eax < PAGE_BYTES) {
            end = MAX(end, component->ebx + component->eax);
        }
    }
    return end;
}

/* @impl ATL-LLR-BOOT-0012~2 */
enum result cpu_features_decode(const struct cpu_leaves *leaves, struct facts *facts,
                                struct cpu_missing *missing)
{
    missing->count = 0;
    require(missing, BIT(leaves->structure.ebx, 0), "FSGSBASE");
    require(missing, BIT(leaves->extended.edx, 20), "NX");
    require(missing, BIT(leaves->basic.ecx, 26), "XSAVE");
    require(missing, BIT(leaves->extended.edx, 11), "SYSCALL");
    require(missing, BIT(leaves->basic.edx, 9), "APIC");
    require(missing, BIT(leaves->basic.edx, 4), "TSC");
    require(missing, BIT(leaves->basic.edx, 24), "FXSR");
    require(missing, BIT(leaves->basic.edx, 26), "SSE2");
    require(missing, BIT(leaves->basic.ecx, 20), "SSE4.2");

    facts->has_smep = BIT(leaves->structure.ebx, 7);
    facts->has_smap = BIT(leaves->structure.ebx, 20);
    facts->has_umip = BIT(leaves->structure.ecx, 2);
    facts->has_rdrand = BIT(leaves->basic.ecx, 30);
    facts->has_rdseed = BIT(leaves->structure.ebx, 18);
    facts->has_x2apic = BIT(leaves->basic.ecx, 21);
    facts->has_1g_pages = BIT(leaves->extended.edx, 26);
    facts->has_rdtscp = BIT(leaves->extended.edx, 27);
    facts->has_xsaveopt = BIT(leaves->extended_state[1].eax, 0);
    facts->meltdown_possible = leaves->vendor.ebx == VENDOR_INTEL_EBX &&
                               (leaves->arch_capabilities & MSR_ARCH_CAPABILITIES_RDCL_NO) == 0;
    facts->extended_mask = extended_mask(leaves);
    facts->has_avx = (facts->extended_mask & XCR0_AVX) != 0;
    facts->extended_bytes = extended_bytes(leaves, facts->extended_mask);
    uint8_t bits = (uint8_t)(leaves->address.eax & 0xffu);
    facts->physical_address_bits =
        bits >= 32 && bits <= ADDRESS_BITS_MAX ? bits : ADDRESS_BITS_DEFAULT;
    return missing->count == 0 ? RESULT_OK : RESULT_INVALID;
}
