/* SPDX-License-Identifier: Apache-2.0 */
/* What loaders leave in memory: the start information of PVH (Xen,
 * public/arch-x86/hvm/start_info.h) and the boot information of multiboot2 (its specification,
 * "Boot information format"); and their memory map to sorted, disjoint ranges of whole usable
 * pages. Pure.
 *
 * A page is usable when it lies wholly in RAM and nothing that an entry of another type names
 * touches it. */
#ifndef KERNEL_BOOT_HANDOVER_H
#define KERNEL_BOOT_HANDOVER_H

#include <kernel/facts.h>
#include <kernel/region.h>

#define MEMORY_ENTRIES_MAX 1000u
#define MEMORY_ENTRIES_OWN 2u /* the kernel and the image, behind those of the loader */
_Static_assert(MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN <= FACTS_MEMORY_RANGES_MAX,
               "each range begins where an entry begins or ends: there are never more");
#define MEMORY_TYPE_RAM 1u           /* E820, PVH and multiboot2 agree */
#define MEMORY_TYPE_USED 0xffffffffu /* of our own entries: RAM that has something in it */
/* Below, firmware keeps data and may write at any time, and a debug image its crash records. */
#define MEMORY_LOW_END (REGION_DEBUG_PAGES != 0 ? 0x100000ull : 0x10000ull)

struct memory_entry {
    uint64_t start, bytes;
    uint32_t type;
};
struct memory_map {
    uint32_t count;
    struct memory_entry entries[MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN];
};

#define PVH_INFO_BYTES 56u
#define MULTIBOOT2_BYTES_MAX 65536u
#define MULTIBOOT2_HEADER_BYTES 8u

struct handover {
    uint64_t rsdp;    /* physical; 0: none */
    uint64_t entries; /* physical: of PVH's memory map; multiboot2 has it in its information */
    struct memory_map map;
};

/* Of the memory map: how many entries it has, and where. @bytes PVH_INFO_BYTES of them
 * Errors: RESULT_FORMAT no magic | RESULT_NO_CALL version 0, which has no memory map |
 *         RESULT_RANGE entry count */
enum result handover_parse_pvh(const uint8_t *bytes, struct handover *handover);

/* @bytes   a copy of the total_bytes at `physical`
 * Errors: RESULT_FORMAT a tag leaves the bytes or no end tag comes | RESULT_RANGE too many entries
 */
enum result handover_parse_multiboot2(const uint8_t *bytes, uint32_t total_bytes, uint64_t physical,
                                      struct handover *handover);

/* One entry of either memory map, MEMORY_ENTRY_BYTES. */
#define MEMORY_ENTRY_BYTES 24u
struct memory_entry handover_parse_entry(const uint8_t *bytes);

/* Errors: RESULT_RANGE no entry or more than MEMORY_ENTRIES_MAX | RESULT_FORMAT an entry wraps
 *         around; the functions below need RESULT_OK */
enum result memory_map_check(const struct memory_map *map);

/* Usable memory from MEMORY_LOW_END, or behind low_page, to limit: into memory, its count and
 * bytes, in facts.
 * @map of at most MEMORY_ENTRIES_MAX + MEMORY_ENTRIES_OWN */
void memory_map_build(const struct memory_map *map, uint64_t limit, struct facts *facts);

/* A usable page below 640 KiB, above the first 32 KiB; 0: there is none. */
uint64_t memory_map_low_page(const struct memory_map *map);

/* True if all pages of [start, end) are usable. @start a page */
bool memory_map_is_ram(const struct memory_map *map, uint64_t start, uint64_t end);

#endif
