/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the node that a call is about. */
#ifndef POSIX_FILE_STATUS_H
#define POSIX_FILE_STATUS_H

#include "node.h"

/* The node of an application's path, referenced. flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
int64_t status_find(uint64_t directory, uint64_t text, uint32_t flags, struct posix_node **node);
/* The node of a descriptor that has one, referenced; -EBADF, -EINVAL. */
int64_t status_find_open(uint64_t descriptor, struct posix_node **node);
/* What umask lets through; open.c. */
uint32_t open_mask(void);

#endif
