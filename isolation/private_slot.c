/* SPDX-License-Identifier: Apache-2.0 */
/* The private slot: posix/ as this core maps it. Built once, with tables of this core; nothing in
 * it changes afterwards, so that what runs there can never fault for want of memory. */
#include "cell.h"

#include "physical.h"

struct private_map {
    uint64_t *root;
    uint64_t user;
};

static enum result descend(const struct private_map *map, uint64_t *entry, uint64_t **table)
{
    if (*entry == 0) {
        paddr_t frame;
        TRY(cell_frame(&frame));
        *entry = entry_make_table(frame, 0, map->user);
    }
    *table = physical_own(entry_address(*entry));
    return RESULT_OK;
}

static enum result map_page(const struct private_map *map, uint64_t address, paddr_t frame,
                            uint32_t rights)
{
    uint64_t *table = map->root;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        TRY(descend(map, &table[(address >> shift) % 512], &table));
    }
    uint64_t *entry = &table[(address >> 12) % 512];
    if (*entry != 0) {
        return RESULT_FORMAT;
    }
    *entry = entry_make_page(frame, ENTRY_FRAME_NONE, rights, map->user);
    return RESULT_OK;
}

/* A section straight from the image. */
static enum result map_image(const struct private_map *map, const struct image_section *section,
                             uint32_t rights)
{
    for (uint64_t at = 0; at < section->memory_bytes; at += PAGE_BYTES) {
        paddr_t frame = {shared_facts.image_physical + section->offset + at};
        if (!physical_is_image(frame)) {
            return RESULT_FORMAT;
        }
        TRY(map_page(map, shared_plan.posix_base + section->address + at, frame, rights));
    }
    return RESULT_OK;
}

static enum result map_copied(const struct private_map *map, const struct image_section *section,
                              const struct plan_section *plan, uint32_t rights)
{
    for (uint64_t at = 0; at < section->memory_bytes; at += PAGE_BYTES) {
        TRY(map_page(map, shared_plan.posix_base + section->address + at,
                     plan_frame(plan, at / PAGE_BYTES), rights));
    }
    return RESULT_OK;
}

/* The per-core section: own frames; the first holds the words that the kernel switches too. */
static enum result map_percore(const struct private_map *map, const struct image_section *section,
                               struct cell *cell)
{
    for (uint64_t at = 0; at < section->memory_bytes; at += PAGE_BYTES) {
        paddr_t frame;
        TRY(cell_frame(&frame));
        if (at == 0) {
            cell->words = physical_own(frame);
        }
        TRY(map_page(map, shared_plan.posix_base + section->address + at, frame,
                     GATE_READ | GATE_WRITE));
    }
    return RESULT_OK;
}

static enum result map_index(const struct private_map *map, const struct image_header *image)
{
    for (uint64_t at = 0; at < image->index_bytes; at += PAGE_BYTES) {
        TRY(map_page(map, shared_plan.index_address + at,
                     (paddr_t){shared_facts.image_physical + at}, GATE_READ));
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0023~1 */
enum result private_slot_build(struct cell *cell)
{
    const struct image_header *image = cell_image();
    const struct gate_posix_header *header = cell_posix_header();
    const struct image_section *posix = image->posix;
    const struct private_map map = {
        .root = physical_own(cell->root),
        .user = cell->ring == 3 ? ENTRY_USER : 0,
    };
    TRY(map_image(&map, &posix[IMAGE_POSIX_TEXT], GATE_READ | GATE_EXECUTE));
    TRY(map_image(&map, &posix[IMAGE_POSIX_RODATA], GATE_READ));
    TRY(map_copied(&map, &posix[IMAGE_POSIX_RELRO], &shared_plan.relro, GATE_READ));
    TRY(map_copied(&map, &posix[IMAGE_POSIX_DATA], &shared_plan.data, GATE_READ | GATE_WRITE));
    TRY(map_percore(&map, &posix[IMAGE_POSIX_PERCORE], cell));
    uint64_t base = shared_plan.posix_base;
    TRY(map_page(&map, base + header->gate_page, shared_plan.gate_page, GATE_READ | GATE_EXECUTE));
    TRY(map_page(&map, base + header->info_page, shared_plan.info_page, GATE_READ));
    return map_index(&map, image);
}
