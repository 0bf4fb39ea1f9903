/* SPDX-License-Identifier: Apache-2.0 */
/* Times and deadlines. posix/ counts nanoseconds of CLOCK_MONOTONIC in 64 bits (584 years); values
 * that do not fit are clamped to GATE_NEVER - 1 or GATE_NEVER, whichever waits longer. */
#ifndef POSIX_TIME_H
#define POSIX_TIME_H

#include <isolation/gate_abi.h>
#include <stdbool.h>
#include <stdint.h>

#define POSIX_NS_PER_S 1000000000ull

/* Linux's struct timespec. */
struct posix_timespec {
    int64_t seconds, nanoseconds;
};

static inline bool posix_timespec_is_valid(const struct posix_timespec *time)
{
    return time->seconds >= 0 && time->nanoseconds >= 0 &&
           time->nanoseconds < (int64_t)POSIX_NS_PER_S;
}

/* Of a valid time; GATE_NEVER if it is too far away for 64 bits. */
static inline uint64_t posix_timespec_to_ns(const struct posix_timespec *time)
{
    uint64_t seconds = (uint64_t)time->seconds;
    if (seconds >= (GATE_NEVER - POSIX_NS_PER_S) / POSIX_NS_PER_S) {
        return GATE_NEVER;
    }
    return seconds * POSIX_NS_PER_S + (uint64_t)time->nanoseconds;
}

static inline struct posix_timespec posix_timespec_of_ns(uint64_t ns)
{
    return (struct posix_timespec){(int64_t)(ns / POSIX_NS_PER_S), (int64_t)(ns % POSIX_NS_PER_S)};
}

/* Linux's struct timeval. */
struct posix_timeval {
    int64_t seconds, microseconds;
};

static inline struct posix_timeval posix_timeval_of_ns(uint64_t ns)
{
    return (struct posix_timeval){(int64_t)(ns / POSIX_NS_PER_S),
                                  (int64_t)(ns % POSIX_NS_PER_S / 1000)};
}

/* TSC ticks since tsc_base to nanoseconds, as struct gate_info says. */
static inline uint64_t posix_ticks_to_ns(uint64_t ticks, uint64_t multiplier)
{
    return (uint64_t)((unsigned __int128)ticks * multiplier >> 32);
}

/* CLOCK_REALTIME at the zero of CLOCK_MONOTONIC; also read by the vDSO. */
extern uint64_t posix_wall_base_ns;
/* Finds it, before anything asks for the date. */
void posix_wall_initialize(void);

/* Deadline so many nanoseconds from now; GATE_NEVER stays. */
uint64_t posix_deadline_after(uint64_t ns);
/* Deadline of a CLOCK_REALTIME instant; one in the past is 0. */
uint64_t posix_deadline_of_realtime(uint64_t ns);
/* The program starts: what the processors did before is not counted as its time. */
void posix_clock_initialize(void);
/* CLOCK_REALTIME now. */
uint64_t posix_realtime_ns(void);

#endif
