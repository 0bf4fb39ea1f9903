/* SPDX-License-Identifier: Apache-2.0 */
/* Where this core's stacks lie: the seven of the interrupt stack table and then the gate's, each
 * above a page that is never mapped, so that an overflow faults. */
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

/* @page the address of a page */
static inline bool stacks_is_guard(uint64_t page)
{
    uint64_t offset = page - (uint64_t)kernel_stacks;
    return offset <= LAYOUT_IST_COUNT * STACKS_IST_STRIDE && offset % STACKS_IST_STRIDE == 0;
}

#endif
