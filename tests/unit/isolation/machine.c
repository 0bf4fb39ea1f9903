/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include "physical.h"

#include <percpu/operations.h>
#include <stdlib.h>

#define TLB_ENTRIES 64u
#define SLOTS_PER_CORE 2u

struct facts shared_facts;
struct cell machine_cell;
paddr_t shared_slot_tables[GATE_PRIVATE_SLOT];
uint8_t *isolation_hosted_memory;

struct tlb_entry {
    uint64_t page;  /* 0: none */
    uint64_t entry; /* the page-table entry as it was */
};

/* How many of a core's TLB entries lead to a frame. */
static _Atomic uint8_t *tlb_uses[CORE_COUNT_MAX];
static PERCORE struct tlb_entry tlb[TLB_ENTRIES];

uint64_t machine_image_tag(uint64_t page)
{
    return 0x1a6e000000000000ull + page;
}

void machine_create(uint16_t cores, uint64_t partition_bytes)
{
    uint64_t image = MACHINE_START + cores * partition_bytes;
    uint64_t bytes = image + MACHINE_IMAGE_PAGES * PAGE_BYTES;
    isolation_hosted_memory = aligned_alloc(PAGE_BYTES, bytes);
    memset(isolation_hosted_memory, 0xa5, bytes);
    shared_facts = (struct facts){.image_physical = image,
                                  .image_bytes = MACHINE_IMAGE_PAGES * PAGE_BYTES,
                                  .memory_limit = image};
    for (uint64_t page = 0; page < MACHINE_IMAGE_PAGES; page++) {
        uint64_t *words = (uint64_t *)(isolation_hosted_memory + image + page * PAGE_BYTES);
        memset(words, 0, PAGE_BYTES);
        words[0] = machine_image_tag(page);
    }
    machine_cell =
        (struct cell){.id = MACHINE_CELL, .ring = 3, .shared_slot_count = SLOTS_PER_CORE * cores};
    for (uint16_t core = 0; core < cores; core++) {
        tlb_uses[core] = calloc(image / PAGE_BYTES + MACHINE_IMAGE_PAGES, 1);
    }
}

void machine_destroy(void)
{
    free(isolation_hosted_memory);
    for (unsigned core = 0; core < CORE_COUNT_MAX; core++) {
        free(tlb_uses[core]);
        tlb_uses[core] = NULL;
    }
}

PERCORE struct cell *space_cell;

enum result machine_request(struct thread *thread, const struct space_request *request)
{
    const uint64_t arguments[] = {MACHINE_CELL,        request->range.address, request->range.bytes,
                                  request->protection, request->flags,         request->offset};
    return isolation_space_request(thread, request->kind, arguments);
}

void machine_core_start(void)
{
    memset(tlb, 0, sizeof(tlb));
    space_cell = &machine_cell;
    percpu_cell_publish(MACHINE_CELL);
    for (unsigned i = 0; i < SLOTS_PER_CORE; i++) {
        paddr_t table;
        HOST_CHECK(percpu_frame_allocate(&table) == RESULT_OK);
        physical_page_zero(table);
        shared_slot_tables[i * percpu_core_count + percpu_self.value] = table;
    }
    space_register_handlers();
}

/* ---- the hardware */

static _Atomic uint8_t *uses_of(uint16_t core, uint64_t entry)
{
    return &tlb_uses[core][(entry & ENTRY_ADDRESS) / PAGE_BYTES];
}

static void tlb_drop(struct tlb_entry *cached)
{
    if (cached->page != 0) {
        atomic_fetch_sub(uses_of(percpu_self.value, cached->entry), 1);
        cached->page = 0;
    }
}

void percpu_operation_invalidate(uint64_t address, uint64_t bytes)
{
    for (unsigned i = 0; i < TLB_ENTRIES; i++) {
        if (tlb[i].page >= address && tlb[i].page - address < bytes) {
            tlb_drop(&tlb[i]);
        }
    }
}

static bool allows(uint64_t entry, enum space_access access)
{
    return (entry & ENTRY_PRESENT) != 0 &&
           (access != SPACE_ACCESS_WRITE || (entry & ENTRY_WRITE) != 0) &&
           (access != SPACE_ACCESS_EXECUTE || (entry & ENTRY_NO_EXECUTE) == 0);
}

/* Four levels; U/S must be set in all, and accessed and dirty bits are there already. */
static uint64_t walk(uint64_t address)
{
    uint64_t entry = shared_slot_tables[address / GATE_SLOT_BYTES].value;
    for (unsigned shift = 30; shift >= 12; shift -= 9) {
        const uint64_t *table =
            (const uint64_t *)(isolation_hosted_memory + (entry & ENTRY_ADDRESS));
        entry = __atomic_load_n(&table[(address >> shift) % 512], __ATOMIC_ACQUIRE);
        if ((entry & ENTRY_PRESENT) == 0) {
            return 0;
        }
        HOST_CHECK((entry & ENTRY_USER) != 0 && (entry & ENTRY_ACCESSED) != 0);
    }
    HOST_CHECK((entry & ENTRY_WRITE) == 0 || (entry & ENTRY_DIRTY) != 0);
    return entry;
}

static uint64_t *word_of(uint64_t entry, uint64_t address)
{
    return (uint64_t *)(isolation_hosted_memory + (entry & ENTRY_ADDRESS) + address % PAGE_BYTES);
}

uint64_t *machine_walk(uint64_t address, enum space_access access)
{
    uint64_t entry = walk(address);
    return allows(entry, access) ? word_of(entry, address) : NULL;
}

/* A walk and the entry's stay in the TLB are one step for the hardware: an invalidation that comes
 * in between, by message, is handled by this same host thread later. */
uint64_t *machine_access(uint64_t address, enum space_access access)
{
    uint64_t page = ALIGN_DOWN(address, PAGE_BYTES);
    struct tlb_entry *cached = &tlb[page / PAGE_BYTES % TLB_ENTRIES];
    if (cached->page == page && allows(cached->entry, access)) {
        return word_of(cached->entry, address);
    }
    uint64_t entry = walk(address);
    tlb_drop(cached); /* a fault, too, drops the translation of its page */
    if (!allows(entry, access)) {
        return NULL;
    }
    atomic_fetch_add(uses_of(percpu_self.value, entry), 1);
    *cached = (struct tlb_entry){page, entry};
    return word_of(entry, address);
}

/* What isolation/ frees: no core may reach it any more. */
void machine_frame_free(paddr_t frame);

void machine_frame_free(paddr_t frame)
{
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        HOST_CHECK(atomic_load(uses_of(core, frame.value)) == 0);
    }
    memset(physical_own(frame), 0xa5, PAGE_BYTES);
    percpu_frame_free(frame);
}

uint64_t machine_free_frames(void)
{
    return percpu_frames_free_count;
}
