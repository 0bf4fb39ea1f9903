/* SPDX-License-Identifier: Apache-2.0 */
/* Usable memory, and the boot tables' view of what lies above 4 GiB. */
#include "internal.h"

#include <kernel/entry.h>

#define MAPPED_AT_ENTRY_GIB 4ull

extern const uint8_t kernel_physical_end[]; /* its address is the value */
extern uint64_t boot_pdpt_low[];

#define KERNEL_PHYSICAL_START 0x100000ull

/* The packer fills the other fields. */
__attribute__((section(".image_location")))
const volatile struct image_location boot_image_location = {.magic = IMAGE_LOCATION_MAGIC,
                                                            .version = IMAGE_VERSION};

/* Validator of the packer's numbers: where the payload is, if there is one. */
static void take_image_location(const struct memory_map *map)
{
    uint64_t physical = boot_image_location.physical;
    uint64_t bytes = boot_image_location.bytes;
    if (physical == 0) {
        return;
    }
    if (!IS_ALIGNED(physical, PAGE_BYTES) || physical < (uint64_t)kernel_physical_end ||
        bytes == 0 || bytes > BOOT_MEMORY_LIMIT || physical > BOOT_MEMORY_LIMIT - bytes) {
        boot_refuse("the image lies at 0x%lx with 0x%lx bytes: pack it again", physical, bytes);
    }
    if (!memory_map_is_ram(map, physical, physical + bytes)) {
        boot_refuse("the image ends at %lu MiB, where this machine has no memory: give it more",
                    (physical + bytes) >> 20);
    }
    shared_facts.image_physical = physical;
    shared_facts.image_bytes = bytes;
}

/* Entries go from absent to present only: no flush is needed. */
static void show_high_memory(void)
{
    for (uint64_t gib = MAPPED_AT_ENTRY_GIB; gib * HUGE_PAGE_BYTES < shared_facts.memory_limit;
         gib++) {
        boot_pdpt_low[gib] = gib * HUGE_PAGE_BYTES | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE;
    }
}

/* @impl ATL-LLR-BOOT-0021~1 */
void boot_memory_collect(struct memory_map *map)
{
    if (memory_map_check(map) != RESULT_OK) {
        boot_refuse("the loader's memory map of %u entries is not valid", map->count);
    }
    shared_facts.low_page = memory_map_low_page(map);
    if (shared_facts.low_page == 0) {
        boot_refuse("no page of memory below 640 KiB");
    }
    take_image_location(map);
    map->entries[map->count++] = (struct memory_entry){
        KERNEL_PHYSICAL_START, (uint64_t)kernel_physical_end - KERNEL_PHYSICAL_START,
        MEMORY_TYPE_USED};
    map->entries[map->count++] = (struct memory_entry){shared_facts.image_physical,
                                                       shared_facts.image_bytes, MEMORY_TYPE_USED};
    uint64_t limit =
        shared_facts.has_1g_pages ? BOOT_MEMORY_LIMIT : MAPPED_AT_ENTRY_GIB * HUGE_PAGE_BYTES;
    limit = MIN(limit, 1ull << shared_facts.physical_address_bits);
    memory_map_build(map, limit, &shared_facts);
    if (shared_facts.memory_range_count == 0) {
        boot_refuse("no memory is left beside the image");
    }
    shared_facts.memory_limit = shared_facts.memory[shared_facts.memory_range_count - 1].end;
    show_high_memory();
}
