/* SPDX-License-Identifier: Apache-2.0 */
/* Where this core's stacks lie: the seven of the interrupt stack table and then the gate's, each
 * above a page that is never mapped, so that an overflow faults; and which vector uses which. */
#ifndef KERNEL_STACKS_H
#define KERNEL_STACKS_H

#include <kernel/layout.h>
#include <percpu/base.h>

#define STACKS_IST_STRIDE (PAGE_BYTES + LAYOUT_IST_STACK_BYTES)

extern uint8_t kernel_stacks[], stack_gate_top[];

/* @index 1..LAYOUT_IST_COUNT, as descriptors name it */
static inline uint64_t stacks_ist_top(uint32_t index)
{
    return (uint64_t)kernel_stacks + index * STACKS_IST_STRIDE;
}

/* Each cause that can interrupt another has a stack of its own. #DB and #BP, NMI, #DF, then #SS,
 * #GP and #AC, #PF, #MC: SDM volume 3, "Exceptions and interrupts". @impl ATL-LLR-BOOT-0013~1 */
static inline uint8_t stacks_ist_of(uint32_t vector)
{
    static const uint8_t stacks[] = {
        [1] = LAYOUT_IST_DEBUG,          [2] = LAYOUT_IST_NMI,
        [3] = LAYOUT_IST_DEBUG,          [8] = LAYOUT_IST_DOUBLE_FAULT,
        [12] = LAYOUT_IST_PROTECTION,    [13] = LAYOUT_IST_PROTECTION,
        [14] = LAYOUT_IST_PAGE_FAULT,    [17] = LAYOUT_IST_PROTECTION,
        [18] = LAYOUT_IST_MACHINE_CHECK,
    };
    bool has_own = vector < sizeof(stacks) && stacks[vector] != 0;
    return has_own ? stacks[vector] : LAYOUT_IST_INTERRUPT;
}

/* @page the address of a page */
static inline bool stacks_is_guard(uint64_t page)
{
    uint64_t offset = page - (uint64_t)kernel_stacks;
    return offset <= LAYOUT_IST_COUNT * STACKS_IST_STRIDE && offset % STACKS_IST_STRIDE == 0;
}

#endif
