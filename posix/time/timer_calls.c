/* SPDX-License-Identifier: Apache-2.0 */
/* timer_create and its like. A timer's number is its place in the table. */
#include "../core/internal.h"
#include "cpu.h"
#include "timer.h"

#include <posix/syscalls.h>

#define TIMERS_MAX POSIX_SIGNAL_LIMIT_MAX
#define TIMER_ABSTIME 1u
#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1
#define SIGEV_THREAD 2
#define SIGEV_THREAD_ID 4
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define CLOCK_TAI 11

/* Linux's struct sigevent. */
struct notification {
    uint64_t value;
    int32_t signal, kind, thread, padding[11];
};
_Static_assert(sizeof(struct notification) == 64, "Linux's struct sigevent");

/* Linux's struct itimerspec. */
struct timer_value {
    struct posix_timespec interval, value;
};

static struct timer *table[TIMERS_MAX]; /* guarded by timers_lock */

struct timer *timer_find(uint32_t id)
{
    return id < TIMERS_MAX ? table[id] : NULL;
}

/* @impl ATL-LLR-TIMER-0040~1 */
static int64_t decode_clock(int32_t clock, struct timer_clock *decoded)
{
    *decoded = (struct timer_clock){TIMER_CLOCK_MONOTONIC, 0};
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_TAI:
        decoded->kind = TIMER_CLOCK_WALL;
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        return 0;
    default:
        break;
    }
    if (clock > CLOCK_TAI || clock == 10) {
        return -EINVAL;
    }
    if (!cpu_clock_is_one(clock)) {
        return -EOPNOTSUPP; /* coarse, raw and alarm clocks have no timers */
    }
    struct cpu_clock cpu;
    int64_t result = cpu_clock_decode(clock, &cpu);
    *decoded = (struct timer_clock){TIMER_CLOCK_CPU, cpu.thread};
    return result;
}

static bool exists(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

static int64_t check_notification(const struct notification *event)
{
    bool has_signal = event->signal >= 1 && event->signal <= POSIX_SIGNAL_COUNT;
    switch (event->kind) {
    case SIGEV_NONE:
        return 0;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD: /* the C library's thread; here only its signal */
        return has_signal ? 0 : -EINVAL;
    case SIGEV_THREAD_ID:
        return has_signal && posix_thread_visit(event->thread, exists, NULL) ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

/* Puts it into the first place that is free. */
static int64_t insert(struct timer *timer)
{
    int64_t result = -EAGAIN;
    posix_lock_acquire(&timers_lock);
    for (uint32_t id = 0; id < TIMERS_MAX && result != 0; id++) {
        if (table[id] == NULL) {
            table[id] = timer;
            timer->id = id;
            timer->info.timer.id = (int32_t)id;
            if (timer->has_default_value) {
                timer->info.timer.value = id;
            }
            result = 0;
        }
    }
    posix_lock_release(&timers_lock);
    return result;
}

/* Takes it out of the table if it is there; the caller then owns it. */
static struct timer *take_out(uint32_t id)
{
    posix_lock_acquire(&timers_lock);
    struct timer *timer = timer_find(id);
    if (timer != NULL) {
        table[id] = NULL;
    }
    posix_lock_release(&timers_lock);
    return timer;
}

static void destroy(struct timer *timer)
{
    timer_finish(timer);
    posix_free(timer);
}

static int64_t create(struct timer_clock clock, const struct notification *event, uint64_t id_to,
                      bool is_default)
{
    struct timer *timer = posix_allocate(sizeof(*timer));
    if (timer == NULL) {
        return -EAGAIN;
    }
    timer->clock = clock;
    timer->target = event->kind == SIGEV_THREAD_ID ? event->thread : 0;
    timer->info = (struct posix_signal_info){.signal = event->signal, .code = SI_TIMER};
    timer->info.timer.value = event->value;
    timer->has_default_value = is_default;
    int64_t result = timer_initialize(timer, event->kind != SIGEV_NONE);
    if (result == 0) {
        result = insert(timer);
    }
    if (result == 0 && posix_store_u32(id_to, timer->id) != 0) {
        take_out(timer->id);
        result = -EFAULT;
    }
    if (result != 0) {
        destroy(timer);
    }
    return result;
}

/* @impl ATL-LLR-TIMER-0040~1 */
int64_t posix_timer_create(uint64_t clock, uint64_t from, uint64_t id_to)
{
    struct notification event = {.signal = SIGALRM, .kind = SIGEV_SIGNAL};
    if (from != 0 && posix_copy_in(&event, from, sizeof(event)) != 0) {
        return -EFAULT;
    }
    struct timer_clock decoded;
    int64_t result = decode_clock((int32_t)clock, &decoded);
    if (result == 0) {
        result = check_notification(&event);
    }
    return result != 0 ? result : create(decoded, &event, id_to, from == 0);
}

/* Locks, and unlocks around reading a CPU clock. NULL: no such timer, and nothing is locked. */
static struct timer *lock_timer(uint32_t id, uint64_t *now_ns)
{
    posix_lock_acquire(&timers_lock);
    struct timer *timer = timer_find(id);
    struct timer_clock clock = timer != NULL ? timer->clock : (struct timer_clock){0};
    if (timer != NULL && clock.kind == TIMER_CLOCK_CPU) {
        posix_lock_release(&timers_lock);
        if (timer_clock_now(&clock, now_ns) != 0) {
            *now_ns = 0; /* of a thread that has ended */
        }
        posix_lock_acquire(&timers_lock);
        timer = timer_find(id);
    } else {
        timer_clock_now(&clock, now_ns);
    }
    if (timer == NULL) {
        posix_lock_release(&timers_lock);
    }
    return timer;
}

static int64_t store(uint64_t to, const struct timer_state *state)
{
    struct timer_value value = {posix_timespec_of_ns(state->interval_ns),
                                posix_timespec_of_ns(state->left_ns)};
    return posix_copy_out(to, &value, sizeof(value));
}

/* @impl ATL-LLR-TIMER-0041~1 */
int64_t posix_timer_settime(uint64_t id, uint64_t flags, uint64_t from, uint64_t to)
{
    struct timer_value value;
    if (from == 0) {
        return -EINVAL;
    }
    if (posix_copy_in(&value, from, sizeof(value)) != 0) {
        return -EFAULT;
    }
    if (!posix_timespec_is_valid(&value.value) || !posix_timespec_is_valid(&value.interval)) {
        return -EINVAL;
    }
    uint64_t now_ns;
    struct timer *timer = lock_timer((uint32_t)id, &now_ns);
    if (timer == NULL) {
        return -EINVAL;
    }
    uint64_t ns = posix_timespec_to_ns(&value.value);
    uint64_t base_ns = (flags & TIMER_ABSTIME) != 0 ? 0 : now_ns;
    uint64_t at_ns = ns >= GATE_NEVER - base_ns ? GATE_NEVER - 1 : base_ns + ns;
    struct timer_state old = timer_get(timer, now_ns);
    timer_set(timer, ns != 0 ? at_ns : GATE_NEVER, posix_timespec_to_ns(&value.interval), now_ns);
    posix_lock_release(&timers_lock);
    return to != 0 ? store(to, &old) : 0;
}

int64_t posix_timer_gettime(uint64_t id, uint64_t to)
{
    uint64_t now_ns;
    struct timer *timer = lock_timer((uint32_t)id, &now_ns);
    if (timer == NULL) {
        return -EINVAL;
    }
    struct timer_state state = timer_get(timer, now_ns);
    posix_lock_release(&timers_lock);
    return store(to, &state);
}

int64_t posix_timer_getoverrun(uint64_t id)
{
    posix_lock_acquire(&timers_lock);
    const struct timer *timer = timer_find((uint32_t)id);
    int64_t overruns = timer != NULL ? (int64_t)timer->overruns : -EINVAL;
    posix_lock_release(&timers_lock);
    return overruns;
}

int64_t posix_timer_delete(uint64_t id)
{
    struct timer *timer = take_out((uint32_t)id);
    if (timer == NULL) {
        return -EINVAL;
    }
    destroy(timer);
    return 0;
}
