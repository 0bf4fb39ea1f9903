/* SPDX-License-Identifier: Apache-2.0 */
/* The vDSO: time without a call. Runs as application code on the application's stack, and reads the
 * information page and the date at boot, which never change: so there is no sequence counter. What
 * it does not know it asks by the Linux call. */
#include <isolation/gate_abi.h>
#include <stdint.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_TAI 11
#define NS_PER_S 1000000000ull
#define SYSCALL_CLOCK_GETTIME 228
#define SYSCALL_CLOCK_GETRES 229
#define SYSCALL_GETCPU 309

extern const struct gate_info vdso_info __attribute__((visibility("hidden")));
/* At the end of this page: how far from here posix_wall_base_ns lies, constant too (vdso.S). */
extern const int64_t vdso_wall_distance __attribute__((visibility("hidden")));

struct timespec {
    int64_t seconds, nanoseconds;
};

struct timeval {
    int64_t seconds, microseconds;
};

struct time_zone {
    int32_t minutes_west, daylight;
};

int __vdso_clock_gettime(int32_t clock, struct timespec *to);
int __vdso_clock_getres(int32_t clock, struct timespec *to);
int __vdso_gettimeofday(struct timeval *to, struct time_zone *zone_to);
int64_t __vdso_time(int64_t *to);
int __vdso_getcpu(uint32_t *core, uint32_t *node, void *cache);

static inline int64_t call(int64_t number, int64_t a, int64_t b, int64_t c)
{
    int64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

/* The same arithmetic as posix_now_ns. */
static inline uint64_t monotonic_ns(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    uint64_t now = (uint64_t)high << 32 | low;
    uint64_t base = vdso_info.tsc_base;
    if (now <= base) {
        return 0;
    }
    return (uint64_t)((unsigned __int128)(now - base) * vdso_info.tsc_multiplier >> 32);
}

/* The same as posix_realtime_ns. */
static inline uint64_t wall_ns(void)
{
    uintptr_t base = (uintptr_t)&vdso_wall_distance + (uintptr_t)vdso_wall_distance;
    return *(const uint64_t *)base + monotonic_ns();
}

static inline void set_time(struct timespec *to, uint64_t ns)
{
    to->seconds = (int64_t)(ns / NS_PER_S);
    to->nanoseconds = (int64_t)(ns % NS_PER_S);
}

/* @impl ATL-LLR-POSIX-0033~1 */
int __vdso_clock_gettime(int32_t clock, struct timespec *to)
{
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        set_time(to, monotonic_ns());
        return 0;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        set_time(to, wall_ns());
        return 0;
    default:
        return (int)call(SYSCALL_CLOCK_GETTIME, clock, (int64_t)(uintptr_t)to, 0);
    }
}

int __vdso_clock_getres(int32_t clock, struct timespec *to)
{
    return (int)call(SYSCALL_CLOCK_GETRES, clock, (int64_t)(uintptr_t)to, 0);
}

int __vdso_gettimeofday(struct timeval *to, struct time_zone *zone_to)
{
    uint64_t ns = wall_ns();
    if (to != 0) {
        to->seconds = (int64_t)(ns / NS_PER_S);
        to->microseconds = (int64_t)(ns % NS_PER_S / 1000);
    }
    if (zone_to != 0) {
        zone_to->minutes_west = 0; /* UTC */
        zone_to->daylight = 0;
    }
    return 0;
}

int64_t __vdso_time(int64_t *to)
{
    int64_t seconds = (int64_t)((wall_ns()) / NS_PER_S);
    if (to != 0) {
        *to = seconds;
    }
    return seconds;
}

/* RDTSCP and RDPID are not on every processor that is supported, and a check costs as much. */
int __vdso_getcpu(uint32_t *core, uint32_t *node, void *cache)
{
    return (int)call(SYSCALL_GETCPU, (int64_t)(uintptr_t)core, (int64_t)(uintptr_t)node,
                     (int64_t)(uintptr_t)cache);
}

#define ALIAS(name) __attribute__((weak, alias("__vdso_" #name)))
int clock_gettime(int32_t clock, struct timespec *to) ALIAS(clock_gettime);
int clock_getres(int32_t clock, struct timespec *to) ALIAS(clock_getres);
int gettimeofday(struct timeval *to, struct time_zone *zone_to) ALIAS(gettimeofday);
int64_t time(int64_t *to) ALIAS(time);
int getcpu(uint32_t *core, uint32_t *node, void *cache) ALIAS(getcpu);
