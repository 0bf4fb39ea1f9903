/* SPDX-License-Identifier: Apache-2.0 */
/* The three timers that each process has: setitimer, getitimer, alarm. */
#include "../core/internal.h"
#include "timer.h"

#include <posix/syscalls.h>

#define ITIMER_COUNT 3u /* real, virtual, prof */
#define US_PER_S 1000000
#define NS_PER_US 1000u
#define ALARM_SECONDS_MAX INT32_MAX

/* Linux's struct itimerval. */
struct interval_value {
    struct posix_timeval interval, value;
};

/* Processor time has no part that is the system's, so that ITIMER_VIRTUAL counts as ITIMER_PROF. */
static struct timer interval_timers[ITIMER_COUNT] = {
    {.info = {.signal = SIGALRM, .code = SI_KERNEL}, .id = TIMER_INTERVAL_ID},
    {.info = {.signal = SIGVTALRM, .code = SI_KERNEL},
     .clock = {TIMER_CLOCK_CPU, 0},
     .id = TIMER_INTERVAL_ID + 1},
    {.info = {.signal = SIGPROF, .code = SI_KERNEL},
     .clock = {TIMER_CLOCK_CPU, 0},
     .id = TIMER_INTERVAL_ID + 2},
};
static struct posix_lock start_lock; /* taken before timers_lock */

struct timer *timer_find_interval(uint32_t id)
{
    return &interval_timers[(id - TIMER_INTERVAL_ID) % ITIMER_COUNT];
}

/* Most programs never use one: what a timer needs is made with its first use. */
static int64_t start(struct timer *timer)
{
    posix_lock_acquire(&start_lock);
    int64_t result = timer->node != NULL ? 0 : timer_initialize(timer, true);
    posix_lock_release(&start_lock);
    return result;
}

static int64_t exchange(uint32_t which, const struct timer_state *new, struct timer_state *old)
{
    struct timer *timer = &interval_timers[which];
    uint64_t now_ns;
    int64_t result = start(timer);
    if (result == 0) {
        result = timer_clock_now(&timer->clock, &now_ns);
    }
    if (result != 0) {
        return result;
    }
    posix_lock_acquire(&timers_lock);
    *old = timer_get(timer, now_ns);
    if (new != NULL) {
        bool is_far = new->left_ns >= GATE_NEVER - now_ns;
        uint64_t at_ns = is_far ? GATE_NEVER - 1 : now_ns + new->left_ns;
        timer_set(timer, new->left_ns != 0 ? at_ns : GATE_NEVER, new->interval_ns, now_ns);
        if (timer->clock.kind == TIMER_CLOCK_CPU) {
            timer->interval_ns = new->interval_ns; /* of these it can be read back when stopped */
        }
    }
    posix_lock_release(&timers_lock);
    return 0;
}

static bool is_valid(const struct posix_timeval *time)
{
    return time->seconds >= 0 && time->microseconds >= 0 && time->microseconds < US_PER_S;
}

static uint64_t to_ns(const struct posix_timeval *time)
{
    struct posix_timespec spec = {time->seconds, time->microseconds * (int64_t)NS_PER_US};
    return posix_timespec_to_ns(&spec);
}

/* What is running is never 0. */
static struct posix_timeval of_ns(uint64_t ns)
{
    return posix_timeval_of_ns(ns != 0 && ns < NS_PER_US ? NS_PER_US : ns);
}

static int64_t store(uint64_t to, const struct timer_state *state)
{
    struct interval_value value = {of_ns(state->interval_ns), of_ns(state->left_ns)};
    return posix_copy_out(to, &value, sizeof(value));
}

/* @impl ATL-LLR-TIMER-0030~1 */
int64_t posix_setitimer(uint64_t which, uint64_t from, uint64_t to)
{
    struct interval_value value = {0}; /* as Linux: no pointer stops it */
    if (from != 0 && posix_copy_in(&value, from, sizeof(value)) != 0) {
        return -EFAULT;
    }
    if ((uint32_t)which >= ITIMER_COUNT || !is_valid(&value.value) || !is_valid(&value.interval)) {
        return -EINVAL;
    }
    struct timer_state new = {to_ns(&value.value), to_ns(&value.interval)};
    struct timer_state old;
    int64_t result = exchange((uint32_t)which, &new, &old);
    return result != 0 || to == 0 ? result : store(to, &old);
}

int64_t posix_getitimer(uint64_t which, uint64_t to)
{
    if ((uint32_t)which >= ITIMER_COUNT) {
        return -EINVAL;
    }
    struct timer_state now;
    int64_t result = exchange((uint32_t)which, NULL, &now);
    return result != 0 ? result : store(to, &now);
}

/* @impl ATL-LLR-TIMER-0030~1 */
int64_t posix_alarm(uint64_t seconds)
{
    uint64_t wanted = (uint32_t)seconds < ALARM_SECONDS_MAX ? (uint32_t)seconds : ALARM_SECONDS_MAX;
    struct timer_state new = {wanted * POSIX_NS_PER_S, 0};
    struct timer_state old = {0};
    exchange(0, &new, &old); /* without memory there is no alarm, and no way to say so */
    uint64_t left = old.left_ns / POSIX_NS_PER_S;
    uint64_t rest = old.left_ns % POSIX_NS_PER_S;
    bool rounds_up = rest >= POSIX_NS_PER_S / 2 || (left == 0 && rest != 0);
    return (int64_t)(left + (rounds_up ? 1 : 0));
}
