/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a cell's gate page, and keeps the staging pages' addresses. */
#include "internal.h"

#include <cpu/string.h>

extern const uint8_t gate_page_ring3[], gate_page_ring3_end[];
extern const uint8_t gate_page_ring0[], gate_page_ring0_end[];

#define OPCODE_INT3 0xcc

void isolation_gate_page_fill(void *page, uint8_t ring)
{
    const uint8_t *from = ring == 3 ? gate_page_ring3 : gate_page_ring0;
    const uint8_t *end = ring == 3 ? gate_page_ring3_end : gate_page_ring0_end;
    ASSERT((uint64_t)(end - from) <= PAGE_BYTES);
    memset(page, OPCODE_INT3, PAGE_BYTES);
    memcpy(page, from, (size_t)(end - from));
}

static PERCORE uint8_t *staging[CORE_COUNT_MAX];

void gate_staging_set(core_id_t core, void *pages)
{
    staging[core.value] = pages;
}

void *gate_staging_own(enum gate_staging page)
{
    return staging[percpu_self.value] + page * PAGE_BYTES;
}

const void *gate_staging_of_remote(core_id_t core, enum gate_staging page)
{
    return staging[core.value] + page * PAGE_BYTES;
}
