/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that build a cell: the private slot and what of it all cores share. Boot only.
 */
#ifndef ISOLATION_CELL_INTERNAL_H
#define ISOLATION_CELL_INTERNAL_H

#include "space.h"

#include <boot/boot.h>
#include <kernel/region.h>
#include <percpu/frames.h>

/* What every core maps of posix/, in the order of the mapping classes. */
enum plan_place_index {
    PLAN_TEXT,
    PLAN_RODATA,
    PLAN_RELRO,
    PLAN_DATA,
    PLAN_GATE,
    PLAN_INFO,
    PLAN_INDEX,
    PLAN_NEIGHBOUR,
    PLAN_PLACES,
};

struct plan_place {
    uint64_t address, bytes;
    paddr_t physical; /* one piece of memory */
};

/* What core 0 decides and makes, and every core maps. */
struct plan {
    uint64_t posix_base, index_address, port_address;
    struct plan_place places[PLAN_PLACES];
};
extern struct plan shared_plan;

#define CELL_SLOTS_PER_CORE_MAX 6u
/* Shared slots of each core: as many as are left beside the private slot. */
static inline uint32_t cell_slots_per_core(void)
{
    return MIN(CELL_SLOTS_PER_CORE_MAX, (GATE_PRIVATE_SLOT - 1) / shared_facts.core_count);
}

/* Where every core maps a core's port memory. */
static inline struct plan_place plan_port(uint32_t core)
{
    uint64_t address = shared_plan.port_address + core * shared_facts.info.port_bytes;
    return (struct plan_place){address, shared_facts.info.port_bytes, shared_regions[core].port};
}

/* Checks posix's own header against its sections. RESULT_FORMAT. */
enum result posix_header_validate(const struct image_header *image,
                                  const struct gate_posix_header *header);

/* A zeroed frame of this core. */
enum result cell_frame(paddr_t *frame);
/* Steps down from a root of this core to the entry of the address at a level, 1 page .. 3, with new
 * tables where there are none. RESULT_NO_MEMORY. */
enum result cell_entry(paddr_t root, uint64_t address, unsigned level, uint64_t **entry);

#endif
