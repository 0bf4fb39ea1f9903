/* SPDX-License-Identifier: Apache-2.0 */

#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <isolation/seal.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

/* The entry of a kernel address in this core's tables, which boot has made. */
static uint64_t *kernel_entry(uint64_t address, unsigned level)
{
    uint64_t *entry;
    enum result found = cell_entry(shared_regions[percpu_self.value].root, address, level, &entry);
    ASSERT(found == RESULT_OK);
    return entry;
}

/* @impl ATL-LLR-ISOL-0024~1 */
static void facts_protect(void)
{
    for (uint64_t at = (uint64_t)boot_facts_start; at < (uint64_t)boot_facts_end;
         at += PAGE_BYTES) {
        *kernel_entry(at, 1) &= ~(ENTRY_WRITE | ENTRY_DIRTY);
        percpu_operation_invalidate(at, PAGE_BYTES);
    }
}

void isolation_seal(void)
{
    ASSERT(space_cell != NULL);
    cell_link_slots();
    facts_protect();
}

/* ---- the direct map of blocks that are granted */

enum result direct_prepare(void)
{
    for (uint64_t at = 0; at < shared_facts.memory_limit; at += HUGE_PAGE_BYTES) {
        uint64_t *entry;
        TRY(cell_entry(shared_regions[percpu_self.value].root, LAYOUT_DIRECT_BASE + at, 2, &entry));
    }
    return RESULT_OK;
}

void isolation_block_attach(paddr_t block)
{
    uint64_t *entry = kernel_entry(LAYOUT_DIRECT_BASE + block.value, 2);
    ASSERT(IS_ALIGNED(block.value, LARGE_PAGE_BYTES) && *entry == 0);
    *entry = block.value | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_DIRTY |
             ENTRY_LARGE | ENTRY_GLOBAL | ENTRY_NO_EXECUTE;
}

/* A block that was mapped by small pages at boot loses its table with them, for good. */
void isolation_block_detach(paddr_t block)
{
    uint64_t *entry = kernel_entry(LAYOUT_DIRECT_BASE + block.value, 2);
    uint64_t step = (*entry & ENTRY_LARGE) != 0 ? LARGE_PAGE_BYTES : PAGE_BYTES;
    *entry = 0;
    for (uint64_t at = 0; at < LARGE_PAGE_BYTES; at += step) {
        percpu_operation_invalidate(LAYOUT_DIRECT_BASE + block.value + at, PAGE_BYTES);
    }
}
