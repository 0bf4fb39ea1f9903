/* SPDX-License-Identifier: Apache-2.0 */
/* Which interrupt stack each vector uses. Pure. */
#ifndef KERNEL_CPU_VECTORS_H
#define KERNEL_CPU_VECTORS_H

#include <kernel/layout.h>
#include <stdbool.h>
#include <stdint.h>

/* Each cause that can interrupt another has a stack of its own. #DB and #BP, NMI, #DF, then #SS,
 * #GP and #AC, #PF, #MC: SDM volume 3, "Exceptions and interrupts". @impl ATL-LLR-BOOT-0013~1 */
static inline uint8_t vector_stack(uint32_t vector)
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

#endif
