/* SPDX-License-Identifier: Apache-2.0 */
/* What the program has used so far: times and getrusage. All processor time is said to be the
 * program's own, none the system's. */
#include "../core/internal.h"
#include "cpu.h"

#include <posix/memory.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define TICK_NS (POSIX_NS_PER_S / 100)
#define RUSAGE_SELF 0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD 1

int64_t posix_times(uint64_t to)
{
    if (to != 0) {
        uint64_t ns = 0;
        cpu_clock_read(0, &ns);
        uint64_t times[4] = {ns / TICK_NS, 0, 0, 0}; /* user, system, and those of children */
        if (posix_copy_out(to, times, sizeof(times)) != 0) {
            return -EFAULT;
        }
    }
    return (int64_t)(posix_now_ns() / TICK_NS);
}

/* Linux's struct rusage. */
struct resource_usage {
    struct posix_timeval user, system;
    int64_t resident_max_kib, unused_1[3], minor_faults, major_faults, unused_2[6], switches_wanted,
        switches_forced;
};
_Static_assert(sizeof(struct resource_usage) == 144, "Linux's struct rusage");

/* What the kernel counts for all threads together: memory in use now, for its peak is not known;
 * page faults; switches, whoever wanted them. */
static void count_process(struct resource_usage *usage)
{
    uint64_t frames = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        frames += posix_core_count(core, GATE_COUNT(frames_total));
        frames -= posix_core_count(core, GATE_COUNT(frames_free));
        usage->minor_faults += (int64_t)posix_core_count(core, GATE_COUNT(faults));
        usage->switches_wanted += (int64_t)posix_core_count(core, GATE_COUNT(switches));
    }
    usage->resident_max_kib = (int64_t)(frames * (POSIX_PAGE_BYTES / 1024));
}

/* @impl ATL-LLR-TIMER-0012~1 */
int64_t posix_getrusage(uint64_t who, uint64_t to)
{
    struct resource_usage usage = {0};
    uint64_t ns = 0;
    switch ((int32_t)who) {
    case RUSAGE_SELF:
        cpu_clock_read(0, &ns);
        count_process(&usage);
        break;
    case RUSAGE_THREAD:
        cpu_clock_read(posix_self()->id, &ns);
        break;
    case RUSAGE_CHILDREN:
        break;
    default:
        return -EINVAL;
    }
    usage.user = posix_timeval_of_ns(ns);
    return posix_copy_out(to, &usage, sizeof(usage));
}
