/* SPDX-License-Identifier: Apache-2.0 */
/* The boot information of a multiboot2 loader: Multiboot2 specification, "Boot information format".
 * Pure. */
#ifndef KERNEL_BOOT_MULTIBOOT2_H
#define KERNEL_BOOT_MULTIBOOT2_H

#include "memory_map.h"

#define MULTIBOOT2_BYTES_MAX 65536u
#define MULTIBOOT2_HEADER_BYTES 8u
#define RSDP_BYTES_MAX 36u

/* What we take from it; pointers are into the parsed bytes. */
struct multiboot2 {
    const char *command_line; /* NUL-terminated; NULL: none */
    const uint8_t *rsdp;      /* a copy made by the loader; NULL: none */
    uint32_t rsdp_bytes;
    uint32_t entry_count;
};

/* @bytes   all of it, total_bytes as its first field says
 * @entries receives at most MEMORY_ENTRIES_MAX
 * Errors: RESULT_FORMAT a tag leaves the bytes or no end tag comes | RESULT_RANGE too many entries
 */
enum result multiboot2_parse(const uint8_t *bytes, uint32_t total_bytes,
                             struct memory_entry *entries, struct multiboot2 *info);

#endif
