/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's memory map to sorted, disjoint ranges of whole usable pages. Pure.
 *
 * A page is usable when it lies wholly in RAM and nothing that an entry of another type names
 * touches it. */
#ifndef KERNEL_BOOT_MEMORY_MAP_H
#define KERNEL_BOOT_MEMORY_MAP_H

#include <kernel/facts.h>
#include <percpu/base.h>

#define MEMORY_ENTRIES_MAX 1000u
#define MEMORY_ENTRIES_OWN 2u /* the kernel and the image, behind those of the loader */
_Static_assert(MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN <= FACTS_MEMORY_RANGES_MAX,
               "each range begins where an entry begins or ends: there are never more");
#define MEMORY_TYPE_RAM 1u           /* E820, PVH and multiboot2 agree */
#define MEMORY_TYPE_USED 0xffffffffu /* of our own entries: RAM that has something in it */
#define MEMORY_LOW_END 0x100000ull

struct memory_entry {
    uint64_t start, bytes;
    uint32_t type;
};
struct memory_map {
    uint32_t count;
    struct memory_entry entries[MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN];
};

/* Errors: RESULT_RANGE no entry or more than MEMORY_ENTRIES_MAX | RESULT_FORMAT an entry wraps
 *         around; the functions below need RESULT_OK */
enum result memory_map_check(const struct memory_map *map);

/* Usable memory from MEMORY_LOW_END to limit, into memory and memory_range_count of facts.
 * @map of at most MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN */
void memory_map_build(const struct memory_map *map, uint64_t limit, struct facts *facts);

/* A usable page below 640 KiB, above the first 32 KiB; 0: there is none. */
uint64_t memory_map_low_page(const struct memory_map *map);

/* True if all pages of [start, end) are usable. @start a page */
bool memory_map_is_ram(const struct memory_map *map, uint64_t start, uint64_t end);

#endif
