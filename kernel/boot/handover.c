/* SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include "bytes.h"

#define PVH_MAGIC 0x336ec578u

#define TAG_HEADER_BYTES 8u
#define TAG_ALIGNMENT 8u
#define TAG_END 0u
#define TAG_MEMORY_MAP 6u
#define TAG_RSDP_OLD 14u
#define TAG_RSDP_NEW 15u
#define MAP_HEADER_BYTES 16u
#define MAP_ENTRY_BYTES_MAX 256u

/* @impl ATL-LLR-BOOT-0005~1 */
struct memory_entry handover_parse_entry(const uint8_t *bytes)
{
    return (struct memory_entry){bytes_u64(bytes), bytes_u64(bytes + 8), bytes_u32(bytes + 16)};
}

/* @impl ATL-LLR-BOOT-0005~1 */
enum result handover_parse_pvh(const uint8_t *bytes, struct handover *handover)
{
    if (bytes_u32(bytes) != PVH_MAGIC) {
        return RESULT_FORMAT;
    }
    if (bytes_u32(bytes + 4) == 0) {
        return RESULT_NO_CALL;
    }
    handover->rsdp = bytes_u64(bytes + 32);
    handover->entries = bytes_u64(bytes + 40);
    handover->map.count = bytes_u32(bytes + 48);
    bool is_usable = handover->map.count != 0 && handover->map.count <= MEMORY_ENTRIES_MAX;
    return is_usable ? RESULT_OK : RESULT_RANGE;
}

static enum result parse_memory_map(const uint8_t *tag, uint32_t bytes, struct memory_map *map)
{
    uint32_t stride = bytes < MAP_HEADER_BYTES ? 0 : bytes_u32(tag + 8);
    if (stride < MEMORY_ENTRY_BYTES || stride > MAP_ENTRY_BYTES_MAX) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MAP_HEADER_BYTES; bytes - at >= stride; at += stride) {
        if (map->count == MEMORY_ENTRIES_MAX) {
            return RESULT_RANGE;
        }
        map->entries[map->count++] = handover_parse_entry(tag + at);
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-BOOT-0004~1 ATL-LLR-BOOT-0037~1 */
enum result handover_parse_multiboot2(const uint8_t *bytes, uint32_t total_bytes, uint64_t physical,
                                      struct handover *handover)
{
    handover->rsdp = handover->map.count = 0;
    uint32_t rsdp_type = 0, at = MULTIBOOT2_HEADER_BYTES;
    while (at <= total_bytes && total_bytes - at >= TAG_HEADER_BYTES) {
        uint32_t type = bytes_u32(bytes + at), tag_bytes = bytes_u32(bytes + at + 4);
        if (tag_bytes < TAG_HEADER_BYTES || tag_bytes > total_bytes - at) {
            return RESULT_FORMAT;
        }
        if (type == TAG_END) {
            return RESULT_OK;
        }
        if (type == TAG_MEMORY_MAP) {
            TRY(parse_memory_map(bytes + at, tag_bytes, &handover->map));
        } else if ((type == TAG_RSDP_OLD || type == TAG_RSDP_NEW) && type > rsdp_type) {
            rsdp_type = type; /* the newer one wins, whichever comes first */
            handover->rsdp = physical + at + TAG_HEADER_BYTES;
        }
        at += ALIGN_UP(tag_bytes, TAG_ALIGNMENT);
    }
    return RESULT_FORMAT;
}
