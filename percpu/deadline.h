/* SPDX-License-Identifier: Apache-2.0 */
/* The deadlines of this core's threads: a binary heap, one place for each thread of the pool, so it
 * is never full. thread->deadline_slot is the place, DEADLINE_NONE outside. */
#ifndef PERCPU_DEADLINE_H
#define PERCPU_DEADLINE_H

#include <percpu/thread.h>

/* @thread: not in the heap, thread->deadline_ns set and not THREAD_NEVER. O(log n). */
void deadline_insert(struct thread *thread);
/* Takes the thread out if it is in; sets deadline_ns = THREAD_NEVER. O(log n). */
void deadline_remove(struct thread *thread);
/* The earliest, THREAD_NEVER if there is none: so also before the first insertion. */
extern PERCORE uint64_t deadline_first_ns;
/* Removes and returns a thread whose deadline is not after now_ns, earliest first; NULL: none. */
struct thread *deadline_expire(uint64_t now_ns);

#endif
