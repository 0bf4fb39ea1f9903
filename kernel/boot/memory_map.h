/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's memory map to sorted, disjoint ranges of whole usable pages. Pure. */
#ifndef KERNEL_BOOT_MEMORY_MAP_H
#define KERNEL_BOOT_MEMORY_MAP_H

#include <kernel/facts.h>
#include <percpu/base.h>

#define MEMORY_ENTRIES_MAX 1000u
#define MEMORY_TYPE_RAM 1u /* E820, PVH and multiboot2 agree */
#define MEMORY_LOW_END 0x100000ull

struct memory_entry {
    uint64_t start, bytes;
    uint32_t type;
};

struct memory_map {
    struct memory_range ranges[FACTS_MEMORY_RANGES_MAX];
    uint32_t count;
    uint32_t dropped;   /* ranges that found no place; the smallest were dropped */
    uint64_t ram_bytes; /* as the entries say, low memory included */
};

/* What must not be used although it is RAM. */
struct memory_holes {
    const struct memory_range *ranges;
    uint32_t count;
};

/* Usable memory from MEMORY_LOW_END to limit: RAM without everything that an entry of another type
 * covers and without the holes.
 * Errors: RESULT_RANGE no entry or more than MEMORY_ENTRIES_MAX | RESULT_FORMAT an entry wraps
 *         around | RESULT_NO_MEMORY nothing is left */
enum result memory_map_build(const struct memory_entry *entries, uint32_t count,
                             struct memory_holes holes, uint64_t limit, struct memory_map *map);

/* A page of RAM below 640 KiB, above the first 32 KiB, that no other entry touches.
 * Errors: RESULT_NO_MEMORY */
enum result memory_map_low_page(const struct memory_entry *entries, uint32_t count, uint64_t *page);

/* True if [start, end) is RAM and nothing else, by the entries. */
bool memory_map_is_ram(const struct memory_entry *entries, uint32_t count, uint64_t start,
                       uint64_t end);

#endif
