/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks on files: ranges owned by the process (F_SETLK), ranges owned by an open file
 * (F_OFD_SETLK), and whole files owned by an open file (flock). The two kinds of ranges exclude
 * each other; flock excludes flock only, as on Linux's local file systems. A process never waits
 * for itself and there is only one, so EDEADLK cannot come. */
#ifndef POSIX_FILE_RECORD_LOCK_H
#define POSIX_FILE_RECORD_LOCK_H

#include "node.h"

/* F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms. No lock held. */
int64_t record_lock(struct posix_file *file, uint64_t command, uint64_t argument);
/* A descriptor of the node is closed: the process loses its ranges. */
void record_lock_closed(struct posix_node *node);
/* The open file is gone, and what it owned. */
void record_lock_released(struct posix_file *file);

#endif
