/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a timer: set, over, its signal queued, its signal taken, set again.
 *
 * As on Linux the next period begins only when the signal of the last one was taken; the periods
 * that passed meanwhile are overruns. So no interval is too short. */
#include "timer.h"

#include "../core/internal.h"
#include "cpu.h"

#define IGNORED_STEP_NS 1000000u /* a timer whose signal goes nowhere expires no more often */

struct posix_lock timers_lock;

uint64_t timer_next(uint64_t at_ns, uint64_t interval_ns, uint64_t now_ns, uint64_t *missed)
{
    *missed = 0;
    if (at_ns > now_ns) {
        return at_ns;
    }
    *missed = (now_ns - at_ns) / interval_ns;
    unsigned __int128 next = at_ns + (unsigned __int128)(*missed + 1) * interval_ns;
    return next < GATE_NEVER ? (uint64_t)next : GATE_NEVER - 1;
}

int64_t timer_clock_now(const struct timer_clock *clock, uint64_t *now_ns)
{
    if (clock->kind == TIMER_CLOCK_CPU) {
        return cpu_clock_read(clock->thread, now_ns);
    }
    *now_ns = clock->kind == TIMER_CLOCK_WALL ? posix_realtime_ns() : posix_now_ns();
    return 0;
}

static uint64_t max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The monotonic instant at which the timer may be over, and not after it. */
static uint64_t deadline_of(const struct timer *timer, uint64_t now_ns)
{
    if (timer->at_ns == GATE_NEVER || timer->clock.kind == TIMER_CLOCK_MONOTONIC) {
        return timer->at_ns;
    }
    if (timer->clock.kind == TIMER_CLOCK_WALL) {
        return posix_deadline_of_realtime(timer->at_ns);
    }
    return timer->at_ns > now_ns ? cpu_clock_deadline(timer->clock.thread, timer->at_ns - now_ns)
                                 : 0;
}

static bool queue_for_thread(struct posix_thread *thread, void *context)
{
    const struct timer *timer = context;
    uint64_t key = (uint64_t)timer->generation << 32 | timer->id;
    return posix_signal_send_reserved(thread, timer->node, &timer->info, key);
}

static bool queue_signal(struct timer *timer)
{
    if (timer->target != 0) {
        return posix_thread_visit(timer->target, queue_for_thread, timer);
    }
    return queue_for_thread(NULL, timer);
}

/* The instant has come; timers_lock is held. */
static void fire(struct timer *timer, uint64_t now_ns)
{
    bool is_queued = queue_signal(timer);
    if (timer->interval_ns == 0) {
        timer->at_ns = GATE_NEVER;
        timer->overruns = 0;
    } else if (is_queued) {
        timer->is_signalled = true;
    } else {
        uint64_t missed;
        timer->at_ns = timer_next(timer->at_ns, timer->interval_ns, now_ns, &missed);
        posix_deadline_set(&timer->deadline,
                           max(deadline_of(timer, now_ns), posix_deadline_after(IGNORED_STEP_NS)));
    }
}

/* @impl ATL-LLR-TIMER-0020~1 */
static void expire(struct posix_deadline *deadline)
{
    struct timer *timer = (struct timer *)deadline;
    uint64_t now_ns;
    if (timer_clock_now(&timer->clock, &now_ns) != 0) {
        return; /* its thread has ended: no more time will pass */
    }
    posix_lock_acquire(&timers_lock);
    if (timer->at_ns != GATE_NEVER && !timer->is_signalled) {
        if (timer->at_ns <= now_ns) {
            fire(timer, now_ns);
        } else {
            posix_deadline_set(deadline, deadline_of(timer, now_ns));
        }
    }
    posix_lock_release(&timers_lock);
}

static struct timer *find(uint32_t id)
{
    return id >= TIMER_INTERVAL_ID ? timer_find_interval(id) : timer_find(id);
}

/* The signal leaves the queue: the timer goes on, and the signal tells what passed meanwhile.
 * @impl ATL-LLR-TIMER-0021~1 */
static void signal_taken(uint64_t key, struct posix_signal_info *info)
{
    posix_lock_acquire(&timers_lock);
    struct timer *timer = find((uint32_t)key);
    struct timer_clock clock = timer != NULL ? timer->clock : (struct timer_clock){0};
    posix_lock_release(&timers_lock);
    uint64_t now_ns;
    if (timer == NULL || timer_clock_now(&clock, &now_ns) != 0) {
        return;
    }
    posix_lock_acquire(&timers_lock);
    timer = find((uint32_t)key);
    if (timer != NULL && timer->is_signalled && timer->generation == key >> 32) {
        uint64_t missed;
        timer->at_ns = timer_next(timer->at_ns, timer->interval_ns, now_ns, &missed);
        timer->overruns = missed < INT32_MAX ? (uint32_t)missed : INT32_MAX;
        timer->is_signalled = false;
        posix_deadline_set(&timer->deadline, deadline_of(timer, now_ns));
        if (info->code == SI_TIMER) {
            info->timer.overrun = (int32_t)timer->overruns;
        }
    }
    posix_lock_release(&timers_lock);
}

int64_t timer_initialize(struct timer *timer, bool has_signal)
{
    timer->at_ns = GATE_NEVER;
    int64_t result = posix_deadline_initialize(&timer->deadline, expire);
    if (result == 0 && has_signal) {
        timer->node = posix_signal_reserve(signal_taken);
        result = timer->node != NULL ? 0 : -EAGAIN;
    }
    return result;
}

/* What was queued before the timer was changed is delivered before the call returns, as on Linux,
 * although the interrupt that tells of it may still be on its way. */
static void notice_signals(void)
{
    if (posix_signal_is_pending()) {
        posix_words.pending = 1;
    }
}

void timer_finish(struct timer *timer)
{
    posix_deadline_cancel(&timer->deadline);
    notice_signals();
    if (timer->node != NULL) {
        posix_signal_unreserve(timer->node);
    }
}

/* @impl ATL-LLR-TIMER-0022~1 */
void timer_set(struct timer *timer, uint64_t at_ns, uint64_t interval_ns, uint64_t now_ns)
{
    timer->at_ns = at_ns;
    timer->interval_ns = at_ns != GATE_NEVER ? interval_ns : 0;
    timer->is_signalled = false;
    timer->overruns = 0;
    timer->generation++;
    notice_signals();
    if (timer->node != NULL) {
        posix_deadline_set(&timer->deadline, deadline_of(timer, now_ns));
    }
}

struct timer_state timer_get(const struct timer *timer, uint64_t now_ns)
{
    struct timer_state state = {0, timer->interval_ns};
    if (timer->at_ns == GATE_NEVER) {
        return state;
    }
    uint64_t at_ns = timer->at_ns;
    bool is_late = at_ns <= now_ns;
    if (is_late && timer->interval_ns != 0) {
        uint64_t missed;
        at_ns = timer_next(at_ns, timer->interval_ns, now_ns, &missed);
    }
    if (at_ns > now_ns) {
        state.left_ns = at_ns - now_ns;
    } else if (timer->node != NULL) {
        state.left_ns = 1; /* over, but the signal was not sent yet */
    }
    return state;
}
