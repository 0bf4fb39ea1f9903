/* SPDX-License-Identifier: Apache-2.0 */
#include "seal.h"

#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <isolation/seal.h>
#include <kernel/region.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

extern const uint8_t boot_facts_start[], boot_facts_end[];

/* The entry that maps a kernel address in this core's tables, and how much it maps; NULL: none. */
static uint64_t *entry_of(uint64_t address, uint64_t *span)
{
    uint64_t *table = physical_own(shared_regions[percpu_self.value].root);
    for (unsigned shift = 39;; shift -= 9) {
        uint64_t *entry = &table[(address >> shift) % 512];
        if ((*entry & ENTRY_PRESENT) == 0) {
            return NULL;
        }
        if (shift == 12 || (*entry & ENTRY_LARGE) != 0) {
            *span = 1ull << shift;
            return entry;
        }
        table = physical_own(entry_address(*entry));
    }
}

/* @impl ATL-LLR-ISOL-0024~1 */
static void facts_protect(void)
{
    for (uint64_t at = (uint64_t)boot_facts_start; at < (uint64_t)boot_facts_end;) {
        uint64_t span = 0;
        uint64_t *entry = entry_of(at, &span);
        ASSERT(entry != NULL && span == PAGE_BYTES);
        *entry &= ~(ENTRY_WRITE | ENTRY_DIRTY);
        percpu_operation_invalidate(at, PAGE_BYTES);
        at += span;
    }
}

void isolation_seal(void)
{
    ASSERT(space_cell != NULL);
    cell_link_slots();
    facts_protect();
    audit_mutate_as_asked();
}

/* ---- the direct map of blocks that are granted */

static uint64_t *block_entry(paddr_t block)
{
    uint64_t address = LAYOUT_DIRECT_BASE + block.value;
    uint64_t *root = physical_own(shared_regions[percpu_self.value].root);
    ASSERT((root[(address >> 39) % 512] & ENTRY_PRESENT) != 0);
    uint64_t *level3 = physical_own(entry_address(root[(address >> 39) % 512]));
    ASSERT((level3[(address >> 30) % 512] & ENTRY_PRESENT) != 0);
    uint64_t *level2 = physical_own(entry_address(level3[(address >> 30) % 512]));
    return &level2[(address >> 21) % 512];
}

enum result direct_prepare(paddr_t root_address)
{
    const uint64_t flags = ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED;
    uint64_t *root = physical_own(root_address);
    for (uint64_t at = 0; at < shared_facts.memory_limit; at += HUGE_PAGE_BYTES) {
        uint64_t address = LAYOUT_DIRECT_BASE + at;
        uint64_t *level4 = &root[(address >> 39) % 512];
        paddr_t table;
        if (*level4 == 0) {
            TRY(cell_frame(&table));
            *level4 = table.value | flags;
        }
        uint64_t *level3 = physical_own(entry_address(*level4));
        if (level3[(address >> 30) % 512] == 0) {
            TRY(cell_frame(&table));
            level3[(address >> 30) % 512] = table.value | flags;
        }
    }
    return RESULT_OK;
}

void isolation_block_attach(paddr_t block)
{
    uint64_t *entry = block_entry(block);
    ASSERT(IS_ALIGNED(block.value, LARGE_PAGE_BYTES) && *entry == 0);
    *entry = block.value | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_DIRTY |
             ENTRY_LARGE | ENTRY_GLOBAL | ENTRY_NO_EXECUTE;
}

/* A block that was mapped by small pages at boot loses its table with them, for good. */
void isolation_block_detach(paddr_t block)
{
    uint64_t *entry = block_entry(block);
    uint64_t step = (*entry & ENTRY_LARGE) != 0 ? LARGE_PAGE_BYTES : PAGE_BYTES;
    *entry = 0;
    for (uint64_t at = 0; at < LARGE_PAGE_BYTES; at += step) {
        percpu_operation_invalidate(LAYOUT_DIRECT_BASE + block.value + at, PAGE_BYTES);
    }
}
