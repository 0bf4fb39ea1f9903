/* SPDX-License-Identifier: Apache-2.0 */
/* What loaders leave in memory: the start information of PVH (Xen,
 * public/arch-x86/hvm/start_info.h) and the boot information of multiboot2 (its specification,
 * "Boot information format"). Pure. */
#ifndef KERNEL_BOOT_HANDOVER_H
#define KERNEL_BOOT_HANDOVER_H

#include "memory_map.h"

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

#endif
