/* SPDX-License-Identifier: Apache-2.0 */
/* What all cores share of posix/: chosen and made by core 0 from its own partition, before the
 * other cores map it. */
#include "cell.h"

#include "physical.h"

#include <crypto/entropy.h>

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

/* Of a run that is a power of two, what is not needed goes back.
 *
 * @impl ATL-LLR-ISOL-0023~1 */
enum result plan_place_allocate(struct plan_place *place)
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

enum result plan_make(void)
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
