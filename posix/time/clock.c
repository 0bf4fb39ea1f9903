/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. All but the CPU clocks come from the time-stamp counter and the information page.
 *
 * CPU clocks are estimates, and honest ones: the process's is the time that the cores were not idle
 * since boot, which the kernel counts; a thread's is its age less the time that it waited in
 * posix/, so time in which it was ready but another thread ran counts as its own. */
#include "../core/internal.h"

#include <posix/instructions.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID 3
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define CLOCK_TAI 11

struct timeval {
    int64_t seconds, microseconds;
};

/* @impl ATL-LLR-POSIX-0030~1 */
uint64_t posix_now_ns(void)
{
    uint64_t now = instruction_rdtsc_ordered();
    uint64_t base = posix_info.tsc_base;
    return now > base ? posix_ticks_to_ns(now - base, posix_info.tsc_multiplier) : 0;
}

uint64_t posix_realtime_ns(void)
{
    return posix_info.wall_base_ns + posix_now_ns();
}

/* @impl ATL-LLR-POSIX-0034~1 */
uint64_t posix_deadline_after(uint64_t ns)
{
    uint64_t now = posix_now_ns();
    return ns >= GATE_NEVER - now ? GATE_NEVER : now + ns;
}

uint64_t posix_deadline_of_realtime(uint64_t ns)
{
    if (ns == GATE_NEVER) {
        return GATE_NEVER;
    }
    return ns > posix_info.wall_base_ns ? ns - posix_info.wall_base_ns : 0;
}

static uint64_t process_cpu_ns(void)
{
    uint64_t now = posix_now_ns();
    uint64_t busy = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        struct gate_core_counts counts;
        int64_t got = gate_information(GATE_INFORMATION_CORE, core, (uint64_t)(uintptr_t)&counts,
                                       sizeof(counts));
        if (got >= 0 && counts.idle_ns < now) {
            busy += now - counts.idle_ns;
        }
    }
    return busy;
}

static uint64_t thread_cpu_ns(void)
{
    const struct posix_thread *self = posix_self();
    uint64_t parked_ns = posix_ticks_to_ns(self->parked_ticks, posix_info.tsc_multiplier);
    return posix_now_ns() - self->start_ns - parked_ns;
}

/* @impl ATL-LLR-POSIX-0031~1 */
static int64_t read_clock(int32_t clock, uint64_t *ns)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns = posix_realtime_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns = posix_now_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *ns = process_cpu_ns();
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ns = thread_cpu_ns();
        return 0;
    default:
        break;
    }
    if (clock >= 0) {
        return -EINVAL;
    }
    int32_t id = ~(clock >> 3);
    bool is_thread = (clock & 4) != 0;
    if (is_thread ? id != 0 && id != posix_self()->id : id != 0 && id != POSIX_PROCESS_ID) {
        return -EINVAL; /* another thread's time is not known here */
    }
    *ns = is_thread ? thread_cpu_ns() : process_cpu_ns();
    return 0;
}

static int64_t store_time(uint64_t to, uint64_t ns)
{
    struct posix_timespec time = posix_timespec_of_ns(ns);
    return posix_copy_out(to, &time, sizeof(time));
}

int64_t posix_clock_gettime(uint64_t clock, uint64_t to)
{
    uint64_t ns;
    int64_t result = read_clock((int32_t)clock, &ns);
    return result != 0 ? result : store_time(to, ns);
}

int64_t posix_clock_getres(uint64_t clock, uint64_t to)
{
    uint64_t ns;
    int64_t result = read_clock((int32_t)clock, &ns);
    if (result != 0 || to == 0) {
        return result;
    }
    return store_time(to, 1);
}

int64_t posix_gettimeofday(uint64_t to, uint64_t zone_to)
{
    uint64_t ns = posix_realtime_ns();
    if (to != 0) {
        struct timeval now = {(int64_t)(ns / POSIX_NS_PER_S),
                              (int64_t)(ns % POSIX_NS_PER_S / 1000)};
        if (posix_copy_out(to, &now, sizeof(now)) != 0) {
            return -EFAULT;
        }
    }
    return zone_to != 0 ? posix_zero_out(zone_to, 2 * sizeof(int32_t)) : 0; /* UTC */
}

int64_t posix_time(uint64_t to)
{
    int64_t seconds = (int64_t)(posix_realtime_ns() / POSIX_NS_PER_S);
    if (to != 0 && posix_copy_out(to, &seconds, sizeof(seconds)) != 0) {
        return -EFAULT;
    }
    return seconds;
}

#define TICKS_PER_S 100u

int64_t posix_times(uint64_t to)
{
    if (to != 0) {
        uint64_t busy = process_cpu_ns() / (POSIX_NS_PER_S / TICKS_PER_S);
        uint64_t times[4] = {busy, 0, 0, 0}; /* user, system, and those of children */
        if (posix_copy_out(to, times, sizeof(times)) != 0) {
            return -EFAULT;
        }
    }
    return (int64_t)(posix_now_ns() / (POSIX_NS_PER_S / TICKS_PER_S));
}

#define RUSAGE_SELF 0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD 1

/* Linux's struct rusage: two timevals and fourteen counters, of which none is known here. */
struct resource_usage {
    struct timeval user, system;
    int64_t counters[14];
};

int64_t posix_getrusage(uint64_t who, uint64_t to)
{
    struct resource_usage usage = {0};
    uint64_t ns = 0;
    switch ((int32_t)who) {
    case RUSAGE_SELF:
        ns = process_cpu_ns();
        break;
    case RUSAGE_THREAD:
        ns = thread_cpu_ns();
        break;
    case RUSAGE_CHILDREN:
        break;
    default:
        return -EINVAL;
    }
    usage.user =
        (struct timeval){(int64_t)(ns / POSIX_NS_PER_S), (int64_t)(ns % POSIX_NS_PER_S / 1000)};
    return posix_copy_out(to, &usage, sizeof(usage));
}
