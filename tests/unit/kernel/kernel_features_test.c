/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID leaves of processors that we do and do not run on. */
#include <check.h>
#include <cpu/features.h>
#include <kernel/facts.h>

/* CPUID leaves; those that are not here are zero. */
struct leaves {
    struct cpu_id vendor, basic, structure, extended_state[8], extended, address;
    uint64_t arch_capabilities;
};

struct facts shared_facts;
static const struct leaves *processor;
static uint32_t basic_max, extended_max; /* the highest leaf of each range */
static const char *missing[16];
static uint32_t missing_count;

struct cpu_id cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpu_id vendor = processor->vendor;
    vendor.eax = basic_max;
    CHECK(subleaf < 8);
    CHECK(leaf == 0x80000000 || leaf <= (leaf < 0x80000000 ? basic_max : extended_max));
    return leaf == 0            ? vendor
           : leaf == 1          ? processor->basic
           : leaf == 7          ? processor->structure
           : leaf == 0xd        ? processor->extended_state[subleaf]
           : leaf == 0x80000000 ? (struct cpu_id){.eax = extended_max}
           : leaf == 0x80000001 ? processor->extended
           : leaf == 0x80000008 ? processor->address
                                : (struct cpu_id){0};
}

/* A processor has the register only if CPUID says so. */
uint64_t cpu_rdmsr(uint32_t msr)
{
    CHECK_EQUAL(msr, 0x10a);
    CHECK((processor->structure.edx & (1u << 29)) != 0);
    return processor->arch_capabilities;
}

static void note_missing(const char *name)
{
    CHECK(missing_count < 16);
    missing[missing_count++] = name;
}

static uint32_t decode(const struct leaves *leaves)
{
    processor = leaves;
    missing_count = 0;
    uint32_t count = cpu_features_decode(note_missing);
    CHECK_EQUAL(count, missing_count);
    return count;
}

/* What is required and nothing else. */
static struct leaves least(void)
{
    struct leaves leaves = {0};
    basic_max = 0xd;
    extended_max = 0x80000008;
    leaves.basic.ecx = (1u << 26) | (1u << 20);
    leaves.basic.edx = (1u << 4) | (1u << 9) | (1u << 24) | (1u << 26);
    leaves.structure.ebx = 1;
    leaves.extended.edx = (1u << 20) | (1u << 11);
    leaves.extended_state[0].eax = 3;
    leaves.address.eax = 40;
    return leaves;
}

/* @verifies ATL-LLR-BOOT-0012~2 */
TEST(the_least_processor_is_enough)
{
    struct leaves leaves = least();
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK(!shared_facts.has_smap && !shared_facts.has_avx && !shared_facts.has_x2apic &&
          !shared_facts.meltdown_possible);
    CHECK_EQUAL(shared_facts.info.extended_mask, 3);
    CHECK_EQUAL(shared_facts.info.extended_bytes, 576);
    CHECK_EQUAL(shared_facts.physical_address_bits, 40);
}

/* @verifies ATL-LLR-BOOT-0012~2 @robust */
TEST(each_missing_feature_is_named)
{
    const struct {
        size_t offset;
        uint32_t bit;
        const char *name;
    } cases[] = {
        {offsetof(struct leaves, structure.ebx), 0, "FSGSBASE"},
        {offsetof(struct leaves, extended.edx), 20, "NX"},
        {offsetof(struct leaves, basic.ecx), 26, "XSAVE"},
        {offsetof(struct leaves, extended.edx), 11, "SYSCALL"},
        {offsetof(struct leaves, basic.edx), 9, "APIC"},
        {offsetof(struct leaves, basic.edx), 4, "TSC"},
        {offsetof(struct leaves, basic.edx), 24, "FXSR"},
        {offsetof(struct leaves, basic.edx), 26, "SSE2"},
        {offsetof(struct leaves, basic.ecx), 20, "SSE4.2"},
    };
    for (size_t i = 0; i < 9; i++) {
        struct leaves leaves = least();
        *(uint32_t *)((char *)&leaves + cases[i].offset) &= ~(1u << cases[i].bit);
        CHECK_EQUAL(decode(&leaves), 1);
        CHECK_STRING(missing[0], cases[i].name);
    }
    struct leaves none = {0};
    CHECK_EQUAL(decode(&none), 9);
}

/* @verifies ATL-LLR-BOOT-0012~2 */
TEST(extended_state_is_sized_by_its_components)
{
    struct leaves leaves = least();
    leaves.basic.ecx |= 1u << 28;
    leaves.extended_state[0].eax = 0x2e7; /* with PKRU, which we leave alone */
    leaves.extended_state[2] = (struct cpu_id){256, 576, 0, 0};
    leaves.extended_state[5] = (struct cpu_id){64, 1088, 0, 0};
    leaves.extended_state[6] = (struct cpu_id){512, 1152, 0, 0};
    leaves.extended_state[7] = (struct cpu_id){1024, 1664, 0, 0};
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK_EQUAL(shared_facts.info.extended_mask, 0xe7);
    CHECK_EQUAL(shared_facts.info.extended_bytes, 2688);
    leaves.extended_state[0].eax = 0x67; /* AVX-512 without its upper registers */
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK_EQUAL(shared_facts.info.extended_mask, 7);
    CHECK_EQUAL(shared_facts.info.extended_bytes, 832);
    leaves.basic.ecx &= ~(1u << 28);
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK_EQUAL(shared_facts.info.extended_mask, 3);
}

/* @verifies ATL-LLR-BOOT-0012~2 @robust */
TEST(absurd_sizes_and_address_widths_are_not_believed)
{
    struct leaves leaves = least();
    leaves.basic.ecx |= 1u << 28;
    leaves.extended_state[0].eax = 7;
    leaves.extended_state[2] = (struct cpu_id){0xffffffff, 576, 0, 0};
    leaves.address.eax = 255;
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK_EQUAL(shared_facts.info.extended_bytes, 576);
    CHECK_EQUAL(shared_facts.physical_address_bits, 36);
    leaves.address.eax = 0;
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK_EQUAL(shared_facts.physical_address_bits, 36);
}

/* @verifies ATL-LLR-BOOT-0012~2 */
TEST(meltdown_is_suspected_of_intel_without_the_promise)
{
    struct leaves leaves = least();
    leaves.vendor.ebx = 0x756e6547;
    leaves.arch_capabilities = 1; /* without the bit that says that it is there */
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK(shared_facts.meltdown_possible);
    leaves.structure.edx |= 1u << 29;
    CHECK_EQUAL(decode(&leaves), 0);
    CHECK(!shared_facts.meltdown_possible);
}

/* @verifies ATL-LLR-BOOT-0012~2 @robust */
TEST(leaves_beyond_the_highest_are_not_asked_for)
{
    struct leaves leaves = least();
    basic_max = 6;
    extended_max = 0x80000007;
    CHECK_EQUAL(decode(&leaves), 1);
    CHECK_STRING(missing[0], "FSGSBASE");
    CHECK_EQUAL(shared_facts.physical_address_bits, 36);
    extended_max = 0;
    CHECK_EQUAL(decode(&leaves), 3);
}

CHECK_MAIN()
