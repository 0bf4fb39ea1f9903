/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the loader left in memory. */
#include "bytes.h"
#include "internal.h"
#include "multiboot2.h"
#include "pvh.h"

#include <cpu/string.h>
#include <kernel/facts.h>

#define PHYSICAL_READ_END (4ull << 30)

BOOT_BSS uint8_t boot_buffer[BOOT_BUFFER_BYTES];
_Static_assert(BOOT_BUFFER_BYTES >= MULTIBOOT2_BYTES_MAX, "the whole of it is copied");
_Static_assert(BOOT_BUFFER_BYTES >= MEMORY_ENTRIES_MAX * PVH_ENTRY_BYTES,
               "the whole map is copied");

enum result boot_physical_read(void *to, uint64_t physical, uint64_t bytes)
{
    if (physical == 0 || physical >= PHYSICAL_READ_END || bytes > PHYSICAL_READ_END - physical) {
        return RESULT_FAULT;
    }
    memcpy(to, (const void *)physical, bytes);
    return RESULT_OK;
}

/* Takes printable characters up to the first NUL or the room's end. */
static void keep_command_line(const char *text, size_t bytes_max)
{
    char *out = shared_facts.command_line;
    size_t room = MIN(bytes_max, sizeof(shared_facts.command_line) - 1);
    for (size_t i = 0; i < room && text[i] != '\0'; i++) {
        *out++ = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    *out = '\0';
}

static void read_pvh(uint64_t info, struct boot_loader_report *report)
{
    uint8_t bytes[PVH_INFO_BYTES];
    struct pvh_info pvh;
    if (boot_physical_read(bytes, info, sizeof(bytes)) != RESULT_OK) {
        boot_refuse("PVH start information at 0x%lx is out of reach", info);
    }
    enum result parsed = pvh_parse_info(bytes, &pvh);
    if (parsed != RESULT_OK) {
        boot_refuse("PVH start information is not valid (%s)",
                    parsed == RESULT_NO_CALL ? "version 0 has no memory map"
                    : parsed == RESULT_RANGE ? "memory map entries"
                                             : "magic");
    }
    if (boot_physical_read(boot_buffer, pvh.entries, pvh.entry_count * PVH_ENTRY_BYTES) !=
        RESULT_OK) {
        boot_refuse("PVH memory map at 0x%lx is out of reach", pvh.entries);
    }
    for (uint32_t i = 0; i < pvh.entry_count; i++) {
        report->entries[i] = pvh_parse_entry(boot_buffer + i * PVH_ENTRY_BYTES);
    }
    report->entry_count = pvh.entry_count;
    report->rsdp = pvh.rsdp;
    if (pvh.command_line != 0 &&
        boot_physical_read(boot_buffer, pvh.command_line, FACTS_COMMAND_LINE_BYTES) == RESULT_OK) {
        keep_command_line((const char *)boot_buffer, FACTS_COMMAND_LINE_BYTES);
    }
    shared_facts.loader = "pvh";
}

static void read_multiboot2(uint64_t info, struct boot_loader_report *report)
{
    uint8_t header[MULTIBOOT2_HEADER_BYTES];
    struct multiboot2 parsed;
    if (boot_physical_read(header, info, sizeof(header)) != RESULT_OK) {
        boot_refuse("multiboot2 information at 0x%lx is out of reach", info);
    }
    uint32_t bytes = bytes_u32(header);
    if (bytes > MULTIBOOT2_BYTES_MAX || boot_physical_read(boot_buffer, info, bytes) != RESULT_OK) {
        boot_refuse("multiboot2 information has %u bytes", bytes);
    }
    if (multiboot2_parse(boot_buffer, bytes, report->entries, &parsed) != RESULT_OK) {
        boot_refuse("multiboot2 information is not valid");
    }
    report->entry_count = parsed.entry_count;
    if (parsed.rsdp != NULL) {
        memcpy(report->rsdp_copy, parsed.rsdp, parsed.rsdp_bytes);
        report->rsdp_copy_bytes = parsed.rsdp_bytes;
    }
    if (parsed.command_line != NULL) {
        keep_command_line(parsed.command_line, FACTS_COMMAND_LINE_BYTES);
    }
    shared_facts.loader = "multiboot2";
}

void boot_loader_read(uint32_t loader, uint64_t info, struct boot_loader_report *report)
{
    if (loader == BOOT_LOADER_MULTIBOOT2) {
        read_multiboot2(info, report);
    } else {
        read_pvh(info, report);
    }
}
