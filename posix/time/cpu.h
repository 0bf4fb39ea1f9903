/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time of the process and of its threads, and the clocks that show it. */
#ifndef POSIX_TIME_CPU_H
#define POSIX_TIME_CPU_H

#include <posix/posix.h>

#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID 3

/* Whose time: a thread's id, or 0 for the process. */
struct cpu_clock {
    int32_t thread;
    uint32_t resolution_ns;
};

static inline bool cpu_clock_is_one(int32_t clock)
{
    return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

/* What a clock number means, also those of clock_getcpuclockid and pthread_getcpuclockid.
 *
 * Errors:     -EINVAL no CPU clock, or that of a thread or process that does not exist */
int64_t cpu_clock_decode(int32_t clock, struct cpu_clock *decoded);

/* Nanoseconds so far; of a thread that has ended -EINVAL. Never goes back. */
int64_t cpu_clock_read(int32_t thread, uint64_t *ns);

/* The monotonic instant before which so much processor time cannot have passed, but at least a step
 * away: how often a clock that may stand still is looked at. */
uint64_t cpu_clock_deadline(int32_t thread, uint64_t left_ns);

#endif
