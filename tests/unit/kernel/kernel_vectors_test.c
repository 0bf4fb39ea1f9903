/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupt stacks by vector. */
#include <check.h>
#include <kernel/stacks.h>

/* @verifies ATL-LLR-BOOT-0013~1 */
TEST(each_cause_has_its_stack)
{
    const uint8_t wanted[20] = {1, 4, 5, 4, 1, 1, 1, 1, 6, 1, 1, 1, 3, 3, 2, 1, 1, 3, 7, 1};
    for (uint32_t vector = 0; vector < 256; vector++) {
        CHECK_EQUAL(stacks_ist_of(vector), vector < 20 ? wanted[vector] : 1);
    }
}

CHECK_MAIN()
