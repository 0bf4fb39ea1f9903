/* SPDX-License-Identifier: Apache-2.0 */
/* The private slot: posix/ as this core maps it. Built once, with tables of this core; nothing in
 * it changes afterwards, so that what runs there can never fault for want of memory. */
#include "cell.h"

#include "physical.h"

static enum result map_place(const struct cell *cell, const struct plan_place *place,
                             uint32_t rights)
{
    for (uint64_t at = 0; at < place->bytes; at += PAGE_BYTES) {
        uint64_t *entry;
        paddr_t frame = {place->physical.value + at};
        TRY(cell_entry(cell->root, place->address + at, 1, &entry));
        ASSERT(*entry == 0); /* image_validate and posix_header_validate: nothing overlaps */
        *entry = entry_make_page(frame, ENTRY_FRAME_NONE, rights, cell->ring == 3 ? ENTRY_USER : 0);
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0023~1 */
enum result private_slot_build(struct cell *cell)
{
    static const uint32_t rights[PLAN_PLACES] = {
        [PLAN_TEXT] = GATE_READ | GATE_EXECUTE,
        [PLAN_RODATA] = GATE_READ,
        [PLAN_RELRO] = GATE_READ,
        [PLAN_DATA] = GATE_READ | GATE_WRITE,
        [PLAN_GATE] = GATE_READ | GATE_EXECUTE,
        [PLAN_INFO] = GATE_READ,
        [PLAN_INDEX] = GATE_READ,
    };
    for (unsigned i = 0; i < PLAN_PLACES; i++) {
        TRY(map_place(cell, &shared_plan.places[i], rights[i]));
    }
    /* The per-core section: own frames; it begins with the words that the kernel switches too. */
    const struct image_section *section = &cell_image()->posix[IMAGE_POSIX_PERCORE];
    struct plan_place percore = {
        shared_plan.posix_base + section->address, section->memory_bytes, {0}};
    TRY(plan_place_allocate(&percore));
    cell->words = physical_own(percore.physical);
    return map_place(cell, &percore, GATE_READ | GATE_WRITE);
}
