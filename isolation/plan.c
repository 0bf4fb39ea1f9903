/* SPDX-License-Identifier: Apache-2.0 */
/* What all cores share of posix/: chosen and made by core 0 from its own partition, before the
 * other cores map it. */
#include "cell.h"

#include "physical.h"
#include "space.h"

#include <crypto/entropy.h>
#include <kernel/region.h>

SHARED struct plan shared_plan; /* core 0 writes in plan_make; all read after that boot stage */

#define PRIVATE_BASE ((uint64_t)GATE_PRIVATE_SLOT * GATE_SLOT_BYTES)

/* The lead's page code: the gate page's contents for a ring. */
void isolation_gate_page_fill(void *page, uint8_t ring);

/* End of posix's sections and pages, from its base, in whole 2 MiB. */
static uint64_t posix_span(const struct image_header *image)
{
    const struct gate_posix_header *header = cell_posix_header();
    uint64_t end = MAX(header->gate_page, header->info_page) + PAGE_BYTES;
    for (unsigned i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        end = MAX(end, image->posix[i].address + image->posix[i].memory_bytes);
    }
    return ALIGN_UP(end, LARGE_PAGE_BYTES);
}

/* A 64-bit number that an attacker cannot guess; with the fixed seed of a test image, he can. The
 * mixing function is SplitMix64's finaliser. */
static uint64_t placement_random(const struct image_header *image)
{
    uint64_t value = image->seed;
    if ((image->flags & IMAGE_FLAG_FIXED_SEED) == 0) {
        entropy_fill(&value, sizeof(value));
    }
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

/* @impl ATL-LLR-ISOL-0020~1 */
static enum result place(const struct image_header *image)
{
    const uint64_t guard = LARGE_PAGE_BYTES; /* before posix/, between it and the index, behind */
    uint64_t span = posix_span(image);
    uint64_t index_span = ALIGN_UP(image->index_bytes, LARGE_PAGE_BYTES);
    uint64_t needed = 3 * guard + span + index_span;
    if (span > GATE_SLOT_BYTES / 2 || needed > GATE_SLOT_BYTES) {
        return RESULT_FORMAT;
    }
    uint64_t positions = (GATE_SLOT_BYTES - needed) / LARGE_PAGE_BYTES + 1;
    uint64_t position = placement_random(image) % positions;
    shared_plan.posix_base = PRIVATE_BASE + guard + position * LARGE_PAGE_BYTES;
    shared_plan.index_address = shared_plan.posix_base + span + guard;
    return RESULT_OK;
}

static struct plan_place *place_set(enum plan_place_index index, uint64_t offset, uint64_t bytes)
{
    struct plan_place *place = &shared_plan.places[index];
    place->address = shared_plan.posix_base + offset;
    place->bytes = bytes;
    return place;
}

/* A section straight from the image. */
static enum result section_show(enum plan_place_index index, const struct image_section *section)
{
    struct plan_place *place = place_set(index, section->address, section->memory_bytes);
    place->physical.value = shared_facts.image_physical + section->offset;
    bool is_inside = section->offset < shared_facts.image_bytes &&
                     section->memory_bytes <= shared_facts.image_bytes - section->offset;
    return is_inside ? RESULT_OK : RESULT_FORMAT;
}

/* Memory of one piece, zeroed: of a run that is a power of two, what is not needed goes back. */
static enum result place_allocate(struct plan_place *place)
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
    TRY(place_allocate(place));
    paddr_t from = {shared_facts.image_physical + section->offset};
    memcpy(physical_own(place->physical), physical_image(from), section->file_bytes);
    return RESULT_OK;
}

/* The word at an offset from posix's base, in a copied section; NULL: in none, or not aligned. */
static uint64_t *word_at(const struct image_header *image, uint64_t offset)
{
    const struct image_section *relro = &image->posix[IMAGE_POSIX_RELRO];
    const struct image_section *data = &image->posix[IMAGE_POSIX_DATA];
    const bool is_relro = posix_section_holds(relro, offset, sizeof(uint64_t));
    if (!IS_ALIGNED(offset, sizeof(uint64_t)) ||
        (!is_relro && !posix_section_holds(data, offset, sizeof(uint64_t)))) {
        return NULL;
    }
    uint64_t inside = offset - (is_relro ? relro : data)->address;
    uint8_t *bytes = physical_own(shared_plan.places[is_relro ? PLAN_RELRO : PLAN_DATA].physical);
    return (uint64_t *)(bytes + inside);
}

static enum result relocate(const struct image_header *image)
{
    const uint32_t *places = (const uint32_t *)((const uint8_t *)image + image->relocation_offset);
    for (uint32_t i = 0; i < image->relocation_count; i++) {
        uint64_t *word = word_at(image, places[i]);
        if (word == NULL) {
            return RESULT_FORMAT;
        }
        *word += shared_plan.posix_base;
    }
    return RESULT_OK;
}

static void info_fill(const struct image_header *image, struct gate_info *info)
{
    *info = (struct gate_info){
        .version = GATE_ABI_VERSION,
        .core_count = shared_facts.core_count,
        .ring = image->ring,
        .thread_count_max = shared_regions[0].thread_count,
        .tsc_base = shared_facts.tsc_base,
        .tsc_multiplier = shared_facts.tsc_multiplier,
        .wall_base_ns = shared_facts.wall_base_ns,
        .memory_bytes = shared_facts.memory_bytes,
        .posix_base = shared_plan.posix_base,
        .index_address = shared_plan.index_address,
        .index_bytes = image->index_bytes,
        .shared_slot_count = CELL_SLOTS_PER_CORE * shared_facts.core_count,
        .user_floor = USER_FLOOR,
        .extended_bytes = shared_facts.extended_bytes,
        .write_execute = (image->flags & IMAGE_FLAG_WRITE_EXECUTE) != 0,
        .extended_mask = shared_facts.extended_mask,
        .tsc_hz = shared_facts.tsc_hz,
    };
}

enum result plan_make(void)
{
    const struct image_header *image = cell_image();
    TRY(posix_header_validate(image, cell_posix_header()));
    TRY(place(image));
    const struct gate_posix_header *header = cell_posix_header();
    TRY(section_show(PLAN_TEXT, &image->posix[IMAGE_POSIX_TEXT]));
    TRY(section_show(PLAN_RODATA, &image->posix[IMAGE_POSIX_RODATA]));
    TRY(section_copy(PLAN_RELRO, &image->posix[IMAGE_POSIX_RELRO]));
    TRY(section_copy(PLAN_DATA, &image->posix[IMAGE_POSIX_DATA]));
    TRY(relocate(image));
    struct plan_place *gate = place_set(PLAN_GATE, header->gate_page, PAGE_BYTES);
    TRY(place_allocate(gate));
    isolation_gate_page_fill(physical_own(gate->physical), (uint8_t)image->ring);
    struct plan_place *info = place_set(PLAN_INFO, header->info_page, PAGE_BYTES);
    TRY(place_allocate(info));
    info_fill(image, physical_own(info->physical));
    shared_plan.places[PLAN_INDEX] = (struct plan_place){
        shared_plan.index_address, image->index_bytes, {shared_facts.image_physical}};
    return RESULT_OK;
}
