/* SPDX-License-Identifier: Apache-2.0 */
/* Shared mappings of files. Within a mapped range a page of the file that has data *is* the page at
 * the mapped address, so that loads, stores, read and write see one memory. A page without data is
 * not mapped: the first access faults and gets a zeroed page, or SIGBUS behind the end of the file.
 * All mappings of one page lie at one address: the library OS cannot map a frame twice.
 *
 * Locks: shared_lock, before tree_lock and node->lock, guards which mappings there are; those of a
 * node change with its lock held too. */
#ifndef POSIX_FILE_SHARED_H
#define POSIX_FILE_SHARED_H

#include "node.h"

struct file_mapping {
    struct file_mapping *next;         /* of all */
    struct file_mapping *next_of_node; /* of the same file */
    struct posix_node *node;           /* referenced */
    uint64_t start, end;               /* addresses */
    uint64_t offset;                   /* of start in the file */
};

/* For data.c; node->lock held. */
/* The mapped address of a piece; 0: not mapped. */
uint64_t shared_address(const struct file_data *data, uint64_t index);
/* Puts a zeroed page at a mapped address. False: no memory. */
bool shared_page_add(uint64_t address);
void shared_page_remove(uint64_t address);
/* Makes a mapped page readable (or writable) for posix/ whatever the application may do there, and
 * as it was: what open returned is given to close. */
uint32_t shared_page_open(uint64_t address, bool write);
void shared_page_close(uint64_t address, uint32_t rights, bool write);

/* The inode of the file mapped at an address (0: none); *path: its name, to be freed, or NULL. No
 * lock held. */
uint64_t shared_describe(uint64_t address, char **path);

#endif
