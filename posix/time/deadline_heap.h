/* SPDX-License-Identifier: Apache-2.0 */
/* A pairing heap of deadlines, the earliest at its root; no memory of its own, so an insertion
 * cannot fail. Pure. (Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap", Algorithmica 1.) */
#ifndef POSIX_TIME_DEADLINE_HEAP_H
#define POSIX_TIME_DEADLINE_HEAP_H

#include <posix/deadline.h>

/* @deadline   in no heap; .at_ns is set. */
void deadline_heap_insert(struct posix_deadline **root, struct posix_deadline *deadline);

/* @deadline   in this heap; its .at_ns may not have changed since it was inserted. */
void deadline_heap_remove(struct posix_deadline **root, struct posix_deadline *deadline);

#endif
