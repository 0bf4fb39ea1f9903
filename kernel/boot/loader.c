/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the loader left in memory. */
#include "bytes.h"
#include "internal.h"

#include <cpu/string.h>

#define PHYSICAL_READ_END (4ull << 30)

BOOT_BSS alignas(16) uint8_t boot_buffer[BOOT_BUFFER_BYTES];
_Static_assert(BOOT_BUFFER_BYTES >= MULTIBOOT2_BYTES_MAX, "the whole of it is copied");
_Static_assert(BOOT_BUFFER_BYTES >= MEMORY_ENTRIES_MAX * MEMORY_ENTRY_BYTES,
               "the whole map is copied");
_Static_assert(BOOT_BUFFER_BYTES >= CORE_COUNT_MAX * BOOT_OTHER_STACK_BYTES,
               "a stack for each core");

enum result boot_physical_read(void *to, uint64_t physical, uint64_t bytes)
{
    if (physical == 0 || physical >= PHYSICAL_READ_END || bytes > PHYSICAL_READ_END - physical) {
        return RESULT_FAULT;
    }
    memcpy(to, (const void *)physical, bytes);
    return RESULT_OK;
}

static enum result read_pvh(uint64_t info, struct handover *handover)
{
    uint8_t bytes[PVH_INFO_BYTES];
    struct memory_map *map = &handover->map;
    TRY(boot_physical_read(bytes, info, sizeof(bytes)));
    TRY(handover_parse_pvh(bytes, handover));
    TRY(boot_physical_read(boot_buffer, handover->entries, map->count * MEMORY_ENTRY_BYTES));
    for (uint32_t i = 0; i < map->count; i++) {
        map->entries[i] = handover_parse_entry(boot_buffer + i * MEMORY_ENTRY_BYTES);
    }
    return RESULT_OK;
}

static enum result read_multiboot2(uint64_t info, struct handover *handover)
{
    uint8_t header[MULTIBOOT2_HEADER_BYTES];
    TRY(boot_physical_read(header, info, sizeof(header)));
    uint32_t bytes = bytes_u32(header);
    if (bytes > MULTIBOOT2_BYTES_MAX) {
        return RESULT_RANGE;
    }
    TRY(boot_physical_read(boot_buffer, info, bytes));
    return handover_parse_multiboot2(boot_buffer, bytes, info, handover);
}

void boot_loader_read(uint64_t info, struct handover *handover)
{
    enum result result = read_pvh(info, handover);
    shared_facts.loader = "pvh";
    if (result == RESULT_FORMAT) { /* no magic: multiboot2's begins with its size */
        result = read_multiboot2(info, handover);
        shared_facts.loader = "multiboot2";
    }
    if (result != RESULT_OK) {
        boot_refuse("what the loader (%s) left at 0x%lx is not valid: %s", shared_facts.loader,
                    info,
                    result == RESULT_FAULT     ? "out of reach"
                    : result == RESULT_NO_CALL ? "version 0 has no memory map"
                    : result == RESULT_FORMAT  ? "malformed"
                                               : "size");
    }
}
