/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID leaves of processors that we do and do not run on. */
#include <check.h>
#include <cpu/features.h>
#include <kernel/facts.h>

static struct facts facts;
static struct cpu_missing missing;

/* What is required and nothing else. */
static struct cpu_leaves least(void)
{
    struct cpu_leaves leaves = {0};
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
    struct cpu_leaves leaves = least();
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(missing.count, 0);
    CHECK(!facts.has_smap && !facts.has_avx && !facts.has_x2apic && !facts.meltdown_possible);
    CHECK_EQUAL(facts.extended_mask, 3);
    CHECK_EQUAL(facts.extended_bytes, 576);
    CHECK_EQUAL(facts.physical_address_bits, 40);
}

/* @verifies ATL-LLR-BOOT-0012~2 @robust */
TEST(each_missing_feature_is_named)
{
    const struct {
        size_t offset;
        uint32_t bit;
        const char *name;
    } cases[] = {
        {offsetof(struct cpu_leaves, structure.ebx), 0, "FSGSBASE"},
        {offsetof(struct cpu_leaves, extended.edx), 20, "NX"},
        {offsetof(struct cpu_leaves, basic.ecx), 26, "XSAVE"},
        {offsetof(struct cpu_leaves, extended.edx), 11, "SYSCALL"},
        {offsetof(struct cpu_leaves, basic.edx), 9, "APIC"},
        {offsetof(struct cpu_leaves, basic.edx), 4, "TSC"},
        {offsetof(struct cpu_leaves, basic.edx), 24, "FXSR"},
        {offsetof(struct cpu_leaves, basic.edx), 26, "SSE2"},
        {offsetof(struct cpu_leaves, basic.ecx), 20, "SSE4.2"},
    };
    for (size_t i = 0; i < 9; i++) {
        struct cpu_leaves leaves = least();
        *(uint32_t *)((char *)&leaves + cases[i].offset) &= ~(1u << cases[i].bit);
        CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_INVALID);
        CHECK_EQUAL(missing.count, 1);
        CHECK_STRING(missing.names[0], cases[i].name);
    }
    struct cpu_leaves none = {0};
    CHECK_EQUAL(cpu_features_decode(&none, &facts, &missing), RESULT_INVALID);
    CHECK_EQUAL(missing.count, 9);
}

/* @verifies ATL-LLR-BOOT-0012~2 */
TEST(extended_state_is_sized_by_its_components)
{
    struct cpu_leaves leaves = least();
    leaves.basic.ecx |= 1u << 28;
    leaves.extended_state[0].eax = 0x2e7; /* with PKRU, which we leave alone */
    leaves.extended_state[2] = (struct cpu_id){256, 576, 0, 0};
    leaves.extended_state[5] = (struct cpu_id){64, 1088, 0, 0};
    leaves.extended_state[6] = (struct cpu_id){512, 1152, 0, 0};
    leaves.extended_state[7] = (struct cpu_id){1024, 1664, 0, 0};
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(facts.extended_mask, 0xe7);
    CHECK_EQUAL(facts.extended_bytes, 2688);
    leaves.extended_state[0].eax = 0x67; /* AVX-512 without its upper registers */
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(facts.extended_mask, 7);
    CHECK_EQUAL(facts.extended_bytes, 832);
    leaves.basic.ecx &= ~(1u << 28);
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(facts.extended_mask, 3);
}

/* @verifies ATL-LLR-BOOT-0012~2 @robust */
TEST(absurd_sizes_and_address_widths_are_not_believed)
{
    struct cpu_leaves leaves = least();
    leaves.basic.ecx |= 1u << 28;
    leaves.extended_state[0].eax = 7;
    leaves.extended_state[2] = (struct cpu_id){0xffffffff, 576, 0, 0};
    leaves.address.eax = 255;
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(facts.extended_bytes, 576);
    CHECK_EQUAL(facts.physical_address_bits, 36);
    leaves.address.eax = 0;
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK_EQUAL(facts.physical_address_bits, 36);
}

/* @verifies ATL-LLR-BOOT-0012~2 */
TEST(meltdown_is_suspected_of_intel_without_the_promise)
{
    struct cpu_leaves leaves = least();
    leaves.vendor.ebx = 0x756e6547;
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK(facts.meltdown_possible);
    leaves.arch_capabilities = 1;
    CHECK_EQUAL(cpu_features_decode(&leaves, &facts, &missing), RESULT_OK);
    CHECK(!facts.meltdown_possible);
}

CHECK_MAIN()
