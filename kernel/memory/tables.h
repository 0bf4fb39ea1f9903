/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel half of each core's page tables, as kernel/layout.h draws it. Boot only. */
#ifndef KERNEL_MEMORY_TABLES_H
#define KERNEL_MEMORY_TABLES_H

#include <kernel/facts.h>
#include <kernel/region.h>

/* Builds the root and kernel-half tables of a core behind what its region holds already, and sets
 * region.root and the final own_end. All regions must be placed. */
void tables_build(core_id_t core);

/* The part of memory range i that lies in the region's partition; false: none. */
static inline bool memory_region_piece(const struct region *region, uint32_t i,
                                       struct memory_range *out)
{
    const struct memory_range *range = &shared_facts.memory[i];
    out->start = MAX(range->start, region->start.value);
    out->end = MIN(range->end, region->end.value);
    return out->start < out->end;
}

#endif
