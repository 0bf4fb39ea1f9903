/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a cell's gate page, and finds the staging pages. */
#include "internal.h"

#include <cpu/string.h>
#include <kernel/region.h>

extern const uint8_t gate_page_ring3[], gate_page_ring0[],
    gate_page_end[]; /* one behind the other */

#define OPCODE_INT3 0xcc

void isolation_gate_page_fill(void *page, uint8_t ring)
{
    const uint8_t *from = ring == 3 ? gate_page_ring3 : gate_page_ring0;
    const uint8_t *end = ring == 3 ? gate_page_ring0 : gate_page_end;
    ASSERT((uint64_t)(end - from) <= PAGE_BYTES);
    memset(page, OPCODE_INT3, PAGE_BYTES);
    memcpy(page, from, (size_t)(end - from));
}

void *gate_staging_own(enum gate_staging page)
{
    return region_staging(percpu_self.value) + page * PAGE_BYTES;
}

const void *gate_staging_of_remote(core_id_t core, enum gate_staging page)
{
    return region_staging(core.value) + page * PAGE_BYTES;
}
