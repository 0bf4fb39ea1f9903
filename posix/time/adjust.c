/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the clocks is refused; what would have to be said of their discipline can be read. */
#include "../core/internal.h"
#include "cpu.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_TAI 11
#define ADJ_OFFSET_SINGLESHOT 0x0001u
#define ADJ_OFFSET_READONLY 0x2000u
#define ADJ_ADJTIME 0x8000u
#define ERROR_MAX_US 16000000
#define STATUS_UNSYNCHRONISED 0x40
#define TOLERANCE_SCALED_PPM 32768000
#define TICK_US 10000
#define TIME_ERROR 5

/* Linux's struct timex. */
struct adjustment {
    uint32_t modes, padding_1;
    int64_t offset, frequency, error_max, error_estimated;
    int32_t status, padding_2;
    int64_t constant, precision, tolerance;
    struct posix_timeval time;
    int64_t tick_us, pps[2];
    int32_t pps_shift, padding_3;
    int64_t pps_counts[5];
    int32_t tai, padding_4[11];
};
_Static_assert(sizeof(struct adjustment) == 208, "Linux's struct timex");

/* @impl ATL-LLR-TIMER-0050~1 */
int64_t posix_clock_settime(uint64_t clock, uint64_t from)
{
    int32_t id = (int32_t)clock;
    struct cpu_clock cpu;
    if (cpu_clock_is_one(id)) {
        return cpu_clock_decode(id, &cpu) == 0 ? -EPERM : -EINVAL;
    }
    struct posix_timespec time;
    if (id != CLOCK_REALTIME) {
        return -EINVAL;
    }
    if (posix_copy_in(&time, from, sizeof(time)) != 0) {
        return -EFAULT;
    }
    return posix_timespec_is_valid(&time) ? -EPERM : -EINVAL;
}

int64_t posix_settimeofday(uint64_t from, uint64_t zone_from)
{
    struct posix_timeval time = {0};
    int32_t zone[2];
    if ((from != 0 && posix_copy_in(&time, from, sizeof(time)) != 0) ||
        (zone_from != 0 && posix_copy_in(zone, zone_from, sizeof(zone)) != 0)) {
        return -EFAULT;
    }
    struct posix_timespec spec = {time.seconds, time.microseconds * 1000};
    return posix_timespec_is_valid(&spec) ? -EPERM : -EINVAL;
}

/* @impl ATL-LLR-TIMER-0050~1 */
int64_t posix_adjtimex(uint64_t at)
{
    struct adjustment adjustment;
    if (posix_copy_in(&adjustment, at, sizeof(adjustment)) != 0) {
        return -EFAULT;
    }
    uint32_t modes = adjustment.modes;
    if ((modes & ADJ_ADJTIME) != 0 && (modes & ADJ_OFFSET_SINGLESHOT) == 0) {
        return -EINVAL;
    }
    if (modes != 0 &&
        (modes & (ADJ_ADJTIME | ADJ_OFFSET_READONLY)) != (ADJ_ADJTIME | ADJ_OFFSET_READONLY)) {
        return -EPERM;
    }
    adjustment = (struct adjustment){
        .modes = modes,
        .error_max = ERROR_MAX_US,
        .error_estimated = ERROR_MAX_US,
        .status = STATUS_UNSYNCHRONISED,
        .constant = 2,
        .precision = 1,
        .tolerance = TOLERANCE_SCALED_PPM,
        .time = posix_timeval_of_ns(posix_realtime_ns()),
        .tick_us = TICK_US,
    };
    return posix_copy_out(at, &adjustment, sizeof(adjustment)) != 0 ? -EFAULT : TIME_ERROR;
}

int64_t posix_clock_adjtime(uint64_t clock, uint64_t at)
{
    int32_t id = (int32_t)clock;
    if (id == CLOCK_REALTIME) {
        return posix_adjtimex(at);
    }
    return id > CLOCK_TAI || id == 10 ? -EINVAL : -EOPNOTSUPP;
}
