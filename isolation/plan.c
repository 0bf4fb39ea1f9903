/* SPDX-License-Identifier: Apache-2.0 */
/* What all cores share of posix/: chosen and made by core 0 from its own partition, before the
 * other cores map it. */
#include "cell.h"

#include "physical.h"

#include <crypto/entropy.h>
#include <kernel/region.h>

SHARED struct plan shared_plan; /* core 0 writes in plan_make; all read after that boot stage */

#define PRIVATE_BASE ((uint64_t)GATE_PRIVATE_SLOT * GATE_SLOT_BYTES)
#define RUN_PAGES_MAX 512u

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

static enum result allocate_run(uint32_t *count, paddr_t *first)
{
    for (; *count > 1; *count /= 2) {
        if (percpu_frame_run_allocate(*count, first) == RESULT_OK) {
            return RESULT_OK;
        }
    }
    return percpu_frame_allocate(first);
}

/* Frames for a section, in runs of powers of two. Boot only: on failure boot ends. */
static enum result section_allocate(struct plan_section *plan, uint64_t pages)
{
    while (pages > 0) {
        uint32_t count = RUN_PAGES_MAX;
        while (count > pages) {
            count /= 2;
        }
        paddr_t first;
        if (plan->run_count == PLAN_RUNS_MAX) {
            return RESULT_NO_MEMORY;
        }
        TRY(allocate_run(&count, &first));
        plan->runs[plan->run_count].first = first;
        plan->runs[plan->run_count].count = count;
        plan->run_count++;
        pages -= count;
    }
    return RESULT_OK;
}

paddr_t plan_frame(const struct plan_section *section, uint64_t page)
{
    for (uint32_t i = 0; i < section->run_count; i++) {
        if (page < section->runs[i].count) {
            return (paddr_t){section->runs[i].first.value + page * PAGE_BYTES};
        }
        page -= section->runs[i].count;
    }
    ASSERT(false);
    return (paddr_t){0};
}

static enum result section_copy(struct plan_section *plan, const struct image_section *section)
{
    TRY(section_allocate(plan, section->memory_bytes / PAGE_BYTES));
    for (uint64_t at = 0; at < section->memory_bytes; at += PAGE_BYTES) {
        paddr_t frame = plan_frame(plan, at / PAGE_BYTES);
        physical_page_zero(frame);
        if (at < section->file_bytes) {
            paddr_t from = {shared_facts.image_physical + section->offset + at};
            memcpy(physical_own(frame), physical_image(from),
                   MIN(PAGE_BYTES, section->file_bytes - at));
        }
    }
    return RESULT_OK;
}

static bool section_holds(const struct image_section *section, uint64_t address, uint64_t bytes)
{
    return address >= section->address && bytes <= section->memory_bytes &&
           address - section->address <= section->memory_bytes - bytes;
}

/* The word at an offset from posix's base, in a copied section; NULL: in none, or not aligned. */
static uint64_t *word_at(const struct image_header *image, uint64_t address)
{
    const struct image_section *relro = &image->posix[IMAGE_POSIX_RELRO];
    const struct image_section *data = &image->posix[IMAGE_POSIX_DATA];
    const bool is_relro = section_holds(relro, address, sizeof(uint64_t));
    if (!IS_ALIGNED(address, sizeof(uint64_t)) ||
        (!is_relro && !section_holds(data, address, sizeof(uint64_t)))) {
        return NULL;
    }
    uint64_t offset = address - (is_relro ? relro : data)->address;
    paddr_t frame =
        plan_frame(is_relro ? &shared_plan.relro : &shared_plan.data, offset / PAGE_BYTES);
    return (uint64_t *)((uint8_t *)physical_own(frame) + offset % PAGE_BYTES);
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
        .user_floor = 0x10000,
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
    TRY(section_copy(&shared_plan.relro, &image->posix[IMAGE_POSIX_RELRO]));
    TRY(section_copy(&shared_plan.data, &image->posix[IMAGE_POSIX_DATA]));
    TRY(relocate(image));
    TRY(cell_frame(&shared_plan.gate_page));
    isolation_gate_page_fill(physical_own(shared_plan.gate_page), (uint8_t)image->ring);
    TRY(cell_frame(&shared_plan.info_page));
    info_fill(image, physical_own(shared_plan.info_page));
    return RESULT_OK;
}
