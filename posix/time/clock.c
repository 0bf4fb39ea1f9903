/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. All but the CPU clocks (cpu.c) come from the time-stamp counter and the information page.
 */
#include "../core/internal.h"
#include "battery_clock.h"
#include "cpu.h"

#include <posix/instructions.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define CLOCK_TAI 11

uint64_t posix_wall_base_ns;

void posix_wall_initialize(void)
{
    uint64_t seconds = 0;
    posix_wall_base_ns = posix_info.wall_base_ns;
    if (posix_wall_base_ns == 0 &&
        battery_clock_decode(posix_info.clock_registers, &seconds) == 0 &&
        seconds * POSIX_NS_PER_S > posix_info.clock_read_ns) {
        posix_wall_base_ns = seconds * POSIX_NS_PER_S - posix_info.clock_read_ns;
    }
}

/* @impl ATL-LLR-POSIX-0030~1 */
uint64_t posix_now_ns(void)
{
    uint64_t now = instruction_rdtsc_ordered();
    uint64_t base = posix_info.tsc_base;
    return now > base ? posix_ticks_to_ns(now - base, posix_info.tsc_multiplier) : 0;
}

uint64_t posix_realtime_ns(void)
{
    return posix_wall_base_ns + posix_now_ns();
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
    return ns > posix_wall_base_ns ? ns - posix_wall_base_ns : 0;
}

static int64_t read_cpu_clock(int32_t clock, uint64_t *ns)
{
    struct cpu_clock decoded;
    int64_t result = cpu_clock_decode(clock, &decoded);
    return result != 0 ? result : cpu_clock_read(decoded.thread, ns);
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
    default:
        return read_cpu_clock(clock, ns);
    }
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
    struct cpu_clock cpu = {.resolution_ns = 1};
    int32_t id = (int32_t)clock;
    int64_t result = cpu_clock_is_one(id) ? cpu_clock_decode(id, &cpu) : read_clock(id, &ns);
    return result != 0 || to == 0 ? result : store_time(to, cpu.resolution_ns);
}

int64_t posix_gettimeofday(uint64_t to, uint64_t zone_to)
{
    uint64_t ns = posix_realtime_ns();
    if (to != 0) {
        struct posix_timeval now = posix_timeval_of_ns(ns);
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
