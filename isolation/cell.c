/* SPDX-License-Identifier: Apache-2.0 */
/* Building a cell on a core, at boot: a root with the kernel half, the core's own shared slots, the
 * private slot. The slots of the other cores are linked in at seal, when all of them exist. */
#include "cell.h"

#include "audit_internal.h"
#include "physical.h"

#include <percpu/scheduler.h>

SHARED paddr_t shared_slot_tables[GATE_PRIVATE_SLOT];
PERCORE struct cell *space_cell;

const struct gate_posix_header *cell_posix_header(void)
{
    uint64_t offset = boot_image()->posix[IMAGE_POSIX_RODATA].offset;
    return physical_image((paddr_t){shared_facts.image_physical + offset});
}

enum result cell_frame(paddr_t *frame)
{
    TRY(percpu_frame_allocate(frame));
    physical_page_zero(*frame);
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0023~1 */
enum result cell_entry(paddr_t root, uint64_t address, unsigned level, uint64_t **entry)
{
    uint64_t user = address < LAYOUT_USER_END && boot_image()->ring == 3 ? ENTRY_USER : 0;
    uint64_t *table = physical_own(root);
    for (unsigned at = TABLE_LEVEL_TOP + 1; at > level; at--) {
        uint64_t *up = &table[address / table_span(at) % TABLE_ENTRIES];
        if (*up == 0) {
            paddr_t frame;
            TRY(cell_frame(&frame));
            *up = entry_make_table(frame, 0, user);
        }
        ASSERT(entry_is_table(*up));
        table = physical_own(entry_address(*up));
    }
    *entry = &table[address / table_span(level) % TABLE_ENTRIES];
    return RESULT_OK;
}

static void places_set(struct gate_posix_places *places)
{
    *places = cell_posix_header()->offsets;
    uint64_t *place = (uint64_t *)places;
    for (unsigned i = 0; i < sizeof(*places) / sizeof(*place); i++) {
        place[i] += shared_plan.posix_base;
    }
}

static enum result root_build(struct cell *cell)
{
    TRY(cell_frame(&cell->root));
    uint64_t *root = physical_own(cell->root);
    const uint64_t *kernel = physical_own(shared_regions[percpu_self.value].root);
    memcpy(root + TABLE_KERNEL_HALF, kernel + TABLE_KERNEL_HALF,
           (TABLE_ENTRIES - TABLE_KERNEL_HALF) * sizeof(*root));
    return RESULT_OK;
}

/* The private slot: posix/ as this core maps it. Built once, with tables of this core; nothing in
 * it changes afterwards, so that what runs there can never fault for want of memory. */
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

/* @impl ATL-LLR-ISOL-0023~1 ATL-LLR-ISOL-0800~1 */
static enum result private_slot_build(struct cell *cell)
{
    for (unsigned i = 0; i < PLAN_PLACES; i++) {
        TRY(map_place(cell, &shared_plan.places[i],
                      audit_classes[AUDIT_CLASS_posix_text + i].rights));
    }
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        struct plan_place port = plan_port(core);
        bool is_own = core == percpu_self.value;
        TRY(map_place(cell, &port, is_own ? GATE_READ | GATE_WRITE : GATE_READ));
    }
    /* The per-core section: own frames; it begins with the words that the kernel switches too. */
    const struct image_section *section = &boot_image()->posix[IMAGE_POSIX_PERCORE];
    struct plan_place percore = {
        shared_plan.posix_base + section->address, section->memory_bytes, {0}};
    TRY(plan_place_allocate(&percore));
    cell->words = physical_own(percore.physical);
    return map_place(cell, &percore, GATE_READ | GATE_WRITE);
}

void cell_link_slots(void)
{
    struct cell *cell = space_cell;
    uint64_t *root = physical_own(cell->root);
    for (uint32_t slot = 0; slot < cell->shared_slot_count; slot++) {
        ASSERT(shared_slot_tables[slot].value != 0);
        root[slot] =
            entry_make_table(shared_slot_tables[slot], 0, cell->ring == 3 ? ENTRY_USER : 0);
    }
}

enum result isolation_cell_build(struct cell *cell)
{
    const struct image_header *image = boot_image();
    TRY(direct_prepare());
    if (percpu_self.value == 0) {
        TRY(plan_make());
    }
    cell->id = 1;
    cell->ring = (uint8_t)image->ring;
    cell->allow_write_execute = (image->flags & IMAGE_FLAG_WRITE_EXECUTE) != 0;
    cell->gate_calls = image->gate_calls;
    cell->shared_slot_count = cell_slots_per_core() * percpu_core_count;
    places_set(&cell->posix);
    TRY(root_build(cell));
    for (unsigned i = 0; i < cell_slots_per_core(); i++) {
        TRY(cell_frame(&shared_slot_tables[percpu_self.value + i * percpu_core_count]));
    }
    TRY(private_slot_build(cell));
    cell->words->core = percpu_self.value;
    space_cell = cell;
    space_register_handlers();
    return RESULT_OK;
}
