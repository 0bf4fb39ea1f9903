/* SPDX-License-Identifier: Apache-2.0 */
/* The process-wide table of descriptors: descriptor -> open file and close-on-exec flag. */
#ifndef POSIX_FILE_DESCRIPTOR_H
#define POSIX_FILE_DESCRIPTOR_H

#include <posix/file.h>

/* As posix_file_get, O_PATH files included. */
struct posix_file *descriptor_get_any(uint64_t descriptor);
/* Puts a file at an exact number, closing what is there; takes over the reference on success. */
int64_t descriptor_install_at(struct posix_file *file, bool close_on_exec, uint64_t descriptor);
/* Takes the lowest free number for a file that is still to be opened; until it is filled nobody can
 * use or close it (dup2: -EBUSY). Errors: -EMFILE | -ENOMEM */
int64_t descriptor_reserve(void);
/* Puts the file at a reserved number, taking over the reference; NULL: the number is free again. */
void descriptor_fill(uint64_t descriptor, struct posix_file *file, bool close_on_exec);
/* Whether a descriptor still names that open file. */
bool descriptor_is(uint64_t descriptor, const struct posix_file *file);
/* -EBADF: not open. */
int64_t descriptor_close(uint64_t descriptor);
int64_t descriptor_flags(uint64_t descriptor); /* FD_CLOEXEC or 0; -EBADF */
int64_t descriptor_set_flags(uint64_t descriptor, bool close_on_exec);
/* The lowest open descriptor >= from; -1: none. For /proc/self/fd. */
int64_t descriptor_next(uint64_t from);
/* Whether a descriptor is open; *node: its node, referenced, or NULL. tree_lock may be held. */
bool descriptor_node(uint64_t descriptor, struct posix_node **node);

#endif
