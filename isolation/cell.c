/* SPDX-License-Identifier: Apache-2.0 */
/* Building a cell on a core, at boot. First what all cores share of posix/, chosen and made by core
 * 0 from its own partition before the others map it. Then a root with the kernel half, the core's
 * own shared slots, the private slot. The slots of the other cores are linked in at seal, when all
 * of them exist. And the changes of the direct map afterwards. */
#include "cell.h"

#include "audit_internal.h"
#include "physical.h"

#include <crypto/entropy.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

SHARED paddr_t shared_slot_tables[GATE_PRIVATE_SLOT];
PERCORE struct cell *space_cell;

static const struct gate_posix_header *cell_posix_header(void)
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

/* ---- what all cores share of posix/ */

SHARED struct plan shared_plan; /* core 0 writes in plan_make; all read after that boot stage */

#define PRIVATE_BASE ((uint64_t)GATE_PRIVATE_SLOT * GATE_SLOT_BYTES)

/* End of posix's sections, which ascend, and pages, from its base, in whole 2 MiB. */
static uint64_t posix_span(const struct image_header *image)
{
    const struct gate_posix_header *header = cell_posix_header();
    const struct image_section *last = &image->posix[IMAGE_POSIX_SECTION_COUNT - 1];
    uint64_t pages_end = MAX(header->offsets.gate_page, header->offsets.info_page) + PAGE_BYTES;
    return ALIGN_UP(MAX(pages_end, last->address + last->memory_bytes), LARGE_PAGE_BYTES);
}

/* Where an attacker cannot guess, unless a test's image has a fixed seed.
 *
 * @impl ATL-LLR-ISOL-0020~1
 * @impl ATL-LLR-NEIGHBOUR-1011~1 */
static void place(const struct image_header *image)
{
    const uint64_t guard = LARGE_PAGE_BYTES; /* before and behind posix/, index, neighbour, ports */
    uint64_t span = posix_span(image);
    uint64_t index_span = ALIGN_UP(image->index_bytes, LARGE_PAGE_BYTES);
    uint64_t ports =
        ALIGN_UP(shared_facts.info.port_bytes * shared_facts.core_count, LARGE_PAGE_BYTES);
    uint64_t needed = 5 * guard + span + index_span + LARGE_PAGE_BYTES + ports;
    uint64_t random = image->seed;
    if ((image->flags & IMAGE_FLAG_FIXED_SEED) == 0) {
        entropy_fill(&random, sizeof(random));
    }
    ASSERT(needed <= GATE_SLOT_BYTES); /* image_validate and posix_header_validate have limits */
    uint64_t positions = (GATE_SLOT_BYTES - needed) / LARGE_PAGE_BYTES + 1;
    shared_plan.posix_base = PRIVATE_BASE + guard + random % positions * LARGE_PAGE_BYTES;
    shared_plan.index_address = shared_plan.posix_base + span + guard;
    if ((image->flags & IMAGE_FLAG_NEIGHBOUR) != 0 && shared_facts.neighbour_physical != 0) {
        shared_plan.places[PLAN_NEIGHBOUR] =
            (struct plan_place){shared_plan.index_address + index_span + guard,
                                FACTS_NEIGHBOUR_BYTES,
                                {shared_facts.neighbour_physical}};
    }
    shared_plan.port_address =
        shared_plan.index_address + index_span + guard + LARGE_PAGE_BYTES + guard;
}

static struct plan_place *place_set(enum plan_place_index index, uint64_t offset, uint64_t bytes)
{
    struct plan_place *place = &shared_plan.places[index];
    place->address = shared_plan.posix_base + offset;
    place->bytes = bytes;
    return place;
}

/* A section straight from the image. */
static void section_show(enum plan_place_index index, const struct image_section *section)
{
    struct plan_place *place = place_set(index, section->address, section->memory_bytes);
    place->physical.value = shared_facts.image_physical + section->offset;
}

/* Takes memory of this core for place->bytes, in one piece, zeroed: of a run that is a power of
 * two, what is not needed goes back. RESULT_NO_MEMORY.
 *
 * @impl ATL-LLR-ISOL-0023~1 */
static enum result plan_place_allocate(struct plan_place *place)
{
    uint32_t count = 1;
    while (count * PAGE_BYTES < place->bytes) {
        count *= 2;
    }
    if (percpu_frame_run_allocate(count, &place->physical) != RESULT_OK) {
        return RESULT_NO_MEMORY;
    }
    memset(physical_own(place->physical), 0, place->bytes);
    for (uint64_t at = place->bytes; at < count * PAGE_BYTES; at += PAGE_BYTES) {
        percpu_frame_free((paddr_t){place->physical.value + at});
    }
    return RESULT_OK;
}

static enum result section_copy(enum plan_place_index index, const struct image_section *section)
{
    struct plan_place *place = place_set(index, section->address, section->memory_bytes);
    TRY(plan_place_allocate(place));
    paddr_t from = {shared_facts.image_physical + section->offset};
    memcpy(physical_own(place->physical), physical_image(from), section->file_bytes);
    return RESULT_OK;
}

/* image_validate has seen that each word lies in RELRO, or above it, in DATA. */
static void relocate(const struct image_header *image)
{
    const uint32_t *offsets = (const uint32_t *)((const uint8_t *)image + image->relocation_offset);
    for (uint32_t i = 0; i < image->relocation_count; i++) {
        bool is_data = offsets[i] >= image->posix[IMAGE_POSIX_DATA].address;
        const struct plan_place *place = &shared_plan.places[is_data ? PLAN_DATA : PLAN_RELRO];
        uint64_t inside = shared_plan.posix_base + offsets[i] - place->address;
        *(uint64_t *)((uint8_t *)physical_own(place->physical) + inside) += shared_plan.posix_base;
    }
}

static void info_fill(const struct image_header *image, struct gate_info *info)
{
    *info = shared_facts.info;
    info->core_count = shared_facts.core_count;
    info->ring = image->ring;
    info->thread_count_max = shared_regions[0].thread_count;
    info->posix_base = shared_plan.posix_base;
    info->index_address = shared_plan.index_address;
    info->shared_slot_count = cell_slots_per_core() * shared_facts.core_count;
    info->write_execute = (image->flags & IMAGE_FLAG_WRITE_EXECUTE) != 0;
    info->neighbour_address = shared_plan.places[PLAN_NEIGHBOUR].address;
    info->neighbour_bytes = shared_plan.places[PLAN_NEIGHBOUR].bytes;
    info->port_address = info->port_bytes != 0 ? shared_plan.port_address : 0;
}

/* Core 0: chooses addresses, copies and relocates, fills the gate and information pages.
 * RESULT_NO_MEMORY, RESULT_FORMAT. */
static enum result plan_make(void)
{
    const struct image_header *image = boot_image();
    TRY(posix_header_validate(image, cell_posix_header()));
    place(image);
    const struct gate_posix_header *header = cell_posix_header();
    section_show(PLAN_TEXT, &image->posix[IMAGE_POSIX_TEXT]);
    section_show(PLAN_RODATA, &image->posix[IMAGE_POSIX_RODATA]);
    TRY(section_copy(PLAN_RELRO, &image->posix[IMAGE_POSIX_RELRO]));
    TRY(section_copy(PLAN_DATA, &image->posix[IMAGE_POSIX_DATA]));
    relocate(image);
    struct plan_place *gate = place_set(PLAN_GATE, header->offsets.gate_page, PAGE_BYTES);
    TRY(plan_place_allocate(gate));
    isolation_gate_page_fill(physical_own(gate->physical), (uint8_t)image->ring);
    struct plan_place *info = place_set(PLAN_INFO, header->offsets.info_page, PAGE_BYTES);
    TRY(plan_place_allocate(info));
    info_fill(image, physical_own(info->physical));
    shared_plan.places[PLAN_INDEX] = (struct plan_place){
        shared_plan.index_address, image->index_bytes, {shared_facts.image_physical}};
    return RESULT_OK;
}

/* ---- what each core builds */

static void places_set(struct gate_posix_places *places)
{
    *places = cell_posix_header()->offsets;
    uint64_t *place = (uint64_t *)places;
    for (unsigned i = 0; i < sizeof(*places) / sizeof(*place); i++) {
        place[i] += shared_plan.posix_base;
    }
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

enum result isolation_cell_build(struct cell *cell)
{
    const struct image_header *image = boot_image();
    if (percpu_self.value == 0) {
        TRY(plan_make());
    }
    cell->id = 1;
    cell->ring = (uint8_t)image->ring;
    cell->allow_write_execute = (image->flags & IMAGE_FLAG_WRITE_EXECUTE) != 0;
    cell->gate_calls = image->gate_calls;
    cell->shared_slot_count = cell_slots_per_core() * percpu_core_count;
    places_set(&cell->posix);
    TRY(cell_frame(&cell->root));
    uint64_t *root = physical_own(cell->root);
    const uint64_t *kernel = physical_own(shared_regions[percpu_self.value].root);
    memcpy(root + TABLE_KERNEL_HALF, kernel + TABLE_KERNEL_HALF,
           (TABLE_ENTRIES - TABLE_KERNEL_HALF) * sizeof(*root));
    for (unsigned i = 0; i < cell_slots_per_core(); i++) {
        TRY(cell_frame(&shared_slot_tables[percpu_self.value + i * percpu_core_count]));
    }
    TRY(private_slot_build(cell));
    cell->words->core = percpu_self.value;
    space_cell = cell;
    space_register_handlers();
    return RESULT_OK;
}

/* ---- the end of boot */

/* The entry of a kernel address in this core's tables, which boot has made. */
static uint64_t *kernel_entry(uint64_t address, unsigned level)
{
    uint64_t *entry;
    enum result found = cell_entry(shared_regions[percpu_self.value].root, address, level, &entry);
    ASSERT(found == RESULT_OK);
    return entry;
}

/* Points this core's root at the tables of every shared slot. All cores have built their cells. */
static void slots_link(void)
{
    struct cell *cell = space_cell;
    uint64_t *root = physical_own(cell->root);
    for (uint32_t slot = 0; slot < cell->shared_slot_count; slot++) {
        ASSERT(shared_slot_tables[slot].value != 0);
        root[slot] =
            entry_make_table(shared_slot_tables[slot], 0, cell->ring == 3 ? ENTRY_USER : 0);
    }
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
    slots_link();
    facts_protect();
}

/* ---- the direct map of blocks that are granted */

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
