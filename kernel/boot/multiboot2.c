/* SPDX-License-Identifier: Apache-2.0 */
#include "multiboot2.h"

#include "bytes.h"

#define TAG_HEADER_BYTES 8u
#define TAG_ALIGNMENT 8u
#define TAG_END 0u
#define TAG_COMMAND_LINE 1u
#define TAG_MEMORY_MAP 6u
#define TAG_RSDP_OLD 14u
#define TAG_RSDP_NEW 15u
#define MAP_HEADER_BYTES 16u
#define MAP_ENTRY_BYTES 24u
#define MAP_ENTRY_BYTES_MAX 256u

struct tag {
    uint32_t type, bytes;
    const uint8_t *at; /* the header; the content follows */
};

static enum result parse_memory_map(const struct tag *tag, struct memory_entry *entries,
                                    struct multiboot2 *info)
{
    if (tag->bytes < MAP_HEADER_BYTES) {
        return RESULT_FORMAT;
    }
    uint32_t stride = bytes_u32(tag->at + 8);
    if (stride < MAP_ENTRY_BYTES || stride > MAP_ENTRY_BYTES_MAX) {
        return RESULT_FORMAT;
    }
    for (uint32_t at = MAP_HEADER_BYTES; tag->bytes - at >= stride; at += stride) {
        if (info->entry_count == MEMORY_ENTRIES_MAX) {
            return RESULT_RANGE;
        }
        entries[info->entry_count++] = (struct memory_entry){
            .start = bytes_u64(tag->at + at),
            .bytes = bytes_u64(tag->at + at + 8),
            .type = bytes_u32(tag->at + at + 16),
        };
    }
    return RESULT_OK;
}

static void parse_rsdp(const struct tag *tag, struct multiboot2 *info)
{
    uint32_t bytes = tag->bytes - TAG_HEADER_BYTES;
    /* The newer one wins, whichever comes first. */
    if (bytes > info->rsdp_bytes) {
        info->rsdp = tag->at + TAG_HEADER_BYTES;
        info->rsdp_bytes = MIN(bytes, RSDP_BYTES_MAX);
    }
}

static enum result parse_command_line(const struct tag *tag, struct multiboot2 *info)
{
    for (uint32_t i = TAG_HEADER_BYTES; i < tag->bytes; i++) {
        if (tag->at[i] == 0) {
            info->command_line = (const char *)tag->at + TAG_HEADER_BYTES;
            return RESULT_OK;
        }
    }
    return RESULT_FORMAT;
}

static enum result parse_tag(const struct tag *tag, struct memory_entry *entries,
                             struct multiboot2 *info)
{
    switch (tag->type) {
    case TAG_COMMAND_LINE:
        return parse_command_line(tag, info);
    case TAG_MEMORY_MAP:
        return parse_memory_map(tag, entries, info);
    case TAG_RSDP_OLD:
    case TAG_RSDP_NEW:
        parse_rsdp(tag, info);
        return RESULT_OK;
    default:
        return RESULT_OK;
    }
}

/* @impl ATL-LLR-BOOT-0004~1 */
enum result multiboot2_parse(const uint8_t *bytes, uint32_t total_bytes,
                             struct memory_entry *entries, struct multiboot2 *info)
{
    *info = (struct multiboot2){0};
    if (total_bytes > MULTIBOOT2_BYTES_MAX) {
        return RESULT_FORMAT;
    }
    uint32_t at = MULTIBOOT2_HEADER_BYTES;
    while (at <= total_bytes && total_bytes - at >= TAG_HEADER_BYTES) {
        struct tag tag = {bytes_u32(bytes + at), bytes_u32(bytes + at + 4), bytes + at};
        if (tag.bytes < TAG_HEADER_BYTES || tag.bytes > total_bytes - at) {
            return RESULT_FORMAT;
        }
        if (tag.type == TAG_END) {
            return RESULT_OK;
        }
        TRY(parse_tag(&tag, entries, info));
        at += ALIGN_UP(tag.bytes, TAG_ALIGNMENT);
    }
    return RESULT_FORMAT;
}
