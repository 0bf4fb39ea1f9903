/* SPDX-License-Identifier: Apache-2.0 */
/* The start information of a PVH loader: Xen, public/arch-x86/hvm/start_info.h. Pure. */
#ifndef KERNEL_BOOT_PVH_H
#define KERNEL_BOOT_PVH_H

#include "memory_map.h"

#define PVH_INFO_BYTES 56u
#define PVH_ENTRY_BYTES 24u

struct pvh_info {
    uint64_t command_line; /* physical; 0: none */
    uint64_t rsdp;         /* physical; 0: none */
    uint64_t entries;      /* physical */
    uint32_t entry_count;  /* 1..MEMORY_ENTRIES_MAX */
};

/* @bytes PVH_INFO_BYTES of them
 * Errors: RESULT_FORMAT no magic | RESULT_NO_CALL version 0, which has no memory map |
 *         RESULT_RANGE entry count */
enum result pvh_parse_info(const uint8_t *bytes, struct pvh_info *info);

/* One entry of the map, PVH_ENTRY_BYTES. */
struct memory_entry pvh_parse_entry(const uint8_t *bytes);

#endif
