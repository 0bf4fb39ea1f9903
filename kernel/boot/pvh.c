/* SPDX-License-Identifier: Apache-2.0 */
#include "pvh.h"

#include "bytes.h"

#define PVH_MAGIC 0x336ec578u

/* @impl ATL-LLR-BOOT-0005~1 */
enum result pvh_parse_info(const uint8_t *bytes, struct pvh_info *info)
{
    *info = (struct pvh_info){0};
    if (bytes_u32(bytes) != PVH_MAGIC) {
        return RESULT_FORMAT;
    }
    if (bytes_u32(bytes + 4) == 0) {
        return RESULT_NO_CALL;
    }
    info->command_line = bytes_u64(bytes + 24);
    info->rsdp = bytes_u64(bytes + 32);
    info->entries = bytes_u64(bytes + 40);
    info->entry_count = bytes_u32(bytes + 48);
    return info->entry_count == 0 || info->entry_count > MEMORY_ENTRIES_MAX ? RESULT_RANGE
                                                                            : RESULT_OK;
}

struct memory_entry pvh_parse_entry(const uint8_t *bytes)
{
    return (struct memory_entry){bytes_u64(bytes), bytes_u64(bytes + 8), bytes_u32(bytes + 16)};
}
