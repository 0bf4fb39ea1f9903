/* SPDX-License-Identifier: Apache-2.0 */
/* Timeouts that Linux counts down in the application's memory. */
#include "event.h"

#include <posix/time.h>

#define NS_PER_US 1000u
#define US_PER_S 1000000

int64_t event_timeout_load(struct event_timeout *timeout, uint64_t from, enum event_time_kind kind)
{
    *timeout = (struct event_timeout){.deadline_ns = GATE_NEVER, .from = from, .kind = kind};
    if (from == 0) {
        return 0;
    }
    struct posix_timespec time;
    if (posix_copy_in(&time, from, sizeof(time)) != 0) {
        return -EFAULT;
    }
    if (kind == EVENT_TIMEVAL) { /* microseconds may be more than a second's */
        if (time.seconds < 0 || time.nanoseconds < 0 ||
            __builtin_add_overflow(time.seconds, time.nanoseconds / US_PER_S, &time.seconds)) {
            return -EINVAL;
        }
        time.nanoseconds = time.nanoseconds % US_PER_S * NS_PER_US;
    }
    if (!posix_timespec_is_valid(&time)) {
        return -EINVAL;
    }
    uint64_t ns = posix_timespec_to_ns(&time);
    timeout->deadline_ns = ns != 0 ? posix_deadline_after(ns) : 0;
    return 0;
}

/* @impl ATL-LLR-EVENT-0010~1 */
int64_t event_timeout_finish(const struct event_timeout *timeout, int64_t result)
{
    int64_t final = result == -EINTR ? -ERESTARTNOHAND : result;
    if (timeout->from == 0 || timeout->deadline_ns == 0) {
        return final;
    }
    uint64_t now = posix_now_ns();
    struct posix_timespec rest =
        posix_timespec_of_ns(timeout->deadline_ns > now ? timeout->deadline_ns - now : 0);
    if (timeout->kind == EVENT_TIMEVAL) {
        rest.nanoseconds /= NS_PER_US;
    }
    if (posix_copy_out(timeout->from, &rest, sizeof(rest)) != 0) {
        return result; /* the rest is not stored: the call cannot be made again */
    }
    return final;
}
