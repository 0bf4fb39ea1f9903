/* SPDX-License-Identifier: Apache-2.0 */
/* Which interrupt stack each vector uses. Pure. */
#ifndef KERNEL_CPU_VECTORS_H
#define KERNEL_CPU_VECTORS_H

#include <kernel/layout.h>
#include <stdint.h>

/* Each cause that can interrupt another has a stack of its own. Vectors: SDM volume 3, "Exceptions
 * and interrupts". @impl ATL-LLR-BOOT-0013~1 */
static inline uint8_t vector_stack(uint32_t vector)
{
    switch (vector) {
    case 1: /* #DB */
    case 3: /* #BP */
        return LAYOUT_IST_DEBUG;
    case 2: /* NMI */
        return LAYOUT_IST_NMI;
    case 8: /* #DF */
        return LAYOUT_IST_DOUBLE_FAULT;
    case 12: /* #SS */
    case 13: /* #GP */
    case 17: /* #AC */
        return LAYOUT_IST_PROTECTION;
    case 14: /* #PF */
        return LAYOUT_IST_PAGE_FAULT;
    case 18: /* #MC */
        return LAYOUT_IST_MACHINE_CHECK;
    default:
        return LAYOUT_IST_INTERRUPT;
    }
}

#endif
