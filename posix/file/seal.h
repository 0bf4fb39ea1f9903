/* SPDX-License-Identifier: Apache-2.0 */
/* Seals of files: what may not be done to one any more. Seals are only ever added. */
#ifndef POSIX_FILE_SEAL_H
#define POSIX_FILE_SEAL_H

#include "node.h"

#define F_SEAL_SEAL 1u /* no more seals: every file that was not made for sealing has it */
#define F_SEAL_SHRINK 2u
#define F_SEAL_GROW 4u
#define F_SEAL_WRITE 8u
#define F_SEAL_FUTURE_WRITE 16u /* as WRITE, but for mappings that are there */

/* node->lock held; -EPERM if a seal forbids a change of bytes before end, or of the size. */
int64_t seal_check_write(const struct posix_node *node, uint64_t end);
int64_t seal_check_resize(const struct posix_node *node, uint64_t bytes);
/* The control operation of files of the tree: F_ADD_SEALS, F_GET_SEALS. */
int64_t seal_control(struct posix_file *file, uint32_t command, uint64_t argument);

#endif
