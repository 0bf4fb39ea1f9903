/* SPDX-License-Identifier: Apache-2.0 */
/* Something that happens at an instant although no thread waits for it: what is behind timers that
 * send signals and timers that are read. Each core that needs it has one service thread, outside
 * the table of threads, of the highest priority, which sleeps until the first deadline of its core.
 *
 * Instants are CLOCK_MONOTONIC nanoseconds (posix/time.h). Nothing here fails but the first step.
 */
#ifndef POSIX_DEADLINE_H
#define POSIX_DEADLINE_H

#include <posix/posix.h>

struct posix_deadline;

/* Called by the service thread once the deadline is over, no earlier; the deadline is not set then.
 * It may set it again, to a later instant than now: with an interval as short as the caller likes
 * it must leave that to whoever consumes the event, or the core does nothing else.
 *
 * Context:    locks may be taken, signals sent, waiters woken; no application memory, no waiting
 * for anything that is not about to come. posix_self() is no thread of the program. */
typedef void (*posix_deadline_expire)(struct posix_deadline *deadline);

struct posix_deadline {
    posix_deadline_expire expire;
    uint32_t core; /* whose service thread it belongs to */
    /* guarded by the lock of that core's deadlines */
    uint64_t at_ns; /* GATE_NEVER: not set */
    struct posix_deadline *child, *sibling, *previous;
};

/* Makes it one of the calling core's, not set. Starts the service thread of that core if need be.
 *
 * Errors:     -EAGAIN no memory or no kernel thread for the service thread */
int64_t posix_deadline_initialize(struct posix_deadline *deadline, posix_deadline_expire expire);

/* Sets it to an instant, in place of the one before; one in the past is over at once; GATE_NEVER:
 * not set. expire may be running or about to run for the instant before: whoever cares compares
 * times under its own lock.
 *
 * Context:    any thread, any core, under any locks of lower rank, from expire too */
void posix_deadline_set(struct posix_deadline *deadline, uint64_t at_ns);

/* Not set any more, and when it returns expire neither runs nor will: its memory may be freed.
 *
 * Context:    not from expire, and not under a lock that an expire takes */
void posix_deadline_cancel(struct posix_deadline *deadline);

#endif
