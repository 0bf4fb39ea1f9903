/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd: how often an instant has passed, to be read. After an instant the timer stands still
 * until somebody reads or asks: only then the passed intervals are counted and it is set again, so
 * a short interval costs nothing while nobody looks.
 *
 * The wall clock is never set here, so TFD_TIMER_CANCEL_ON_SET is accepted and never cancels. */
#include "event.h"

#include <posix/deadline.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define TIMER_ABSTIME 1u
#define TIMER_CANCEL_ON_SET 2u

struct linux_itimerspec {
    struct posix_timespec interval, value;
};

struct timer {
    struct posix_deadline deadline; /* first: its expire finds the timer */
    struct posix_lock lock;
    struct posix_file *file;
    struct posix_wait_queue readers;
    uint64_t at_ns;       /* CLOCK_MONOTONIC; GATE_NEVER: disarmed */
    uint64_t interval_ns; /* 0: once */
    uint64_t ticks;       /* to be read */
    bool is_standing;     /* at_ns is over and counted, what came after is not */
    bool is_wall;
};

/* @impl ATL-LLR-EVENT-0030~1 */
static void expired(struct posix_deadline *deadline)
{
    struct timer *timer = (struct timer *)deadline;
    posix_lock_acquire(&timer->lock);
    if (!timer->is_standing && timer->at_ns <= posix_now_ns()) { /* else it was set anew */
        timer->is_standing = true;
        timer->ticks++;
        posix_wake(&timer->readers, 1);
        posix_file_notify(timer->file, POSIX_POLL_IN);
    }
    posix_lock_release(&timer->lock);
}
_Static_assert(offsetof(struct timer, deadline) == 0, "expired finds the timer");

/* Locked. Counts the intervals that have passed since it stands, and sets it to the next instant.
 */
static void go_on(struct timer *timer)
{
    if (!timer->is_standing || timer->interval_ns == 0) {
        return;
    }
    uint64_t passed = (posix_now_ns() - timer->at_ns) / timer->interval_ns;
    timer->ticks += passed;
    if (__builtin_add_overflow(timer->at_ns, (passed + 1) * timer->interval_ns, &timer->at_ns)) {
        timer->at_ns = GATE_NEVER;
    }
    timer->is_standing = false;
    posix_deadline_set(&timer->deadline, timer->at_ns);
}

static int64_t timerfd_read(struct posix_file *file, struct posix_transfer *to)
{
    struct timer *timer = file->context;
    if (to->remaining < sizeof(uint64_t)) {
        return -EINVAL;
    }
    posix_lock_acquire(&timer->lock);
    while (timer->ticks == 0) {
        if (event_is_nonblocking(file)) {
            posix_lock_release(&timer->lock);
            return -EAGAIN;
        }
        if (posix_wait(&timer->readers, &timer->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&timer->lock);
    }
    go_on(timer);
    uint64_t ticks = timer->ticks;
    timer->ticks = 0;
    posix_lock_release(&timer->lock);
    return posix_transfer_out(to, &ticks, sizeof(ticks)) == sizeof(ticks) ? (int64_t)sizeof(ticks)
                                                                          : -EFAULT;
}

static uint32_t timerfd_poll(struct posix_file *file)
{
    struct timer *timer = file->context;
    posix_lock_acquire(&timer->lock);
    uint32_t ready = timer->ticks != 0 ? POSIX_POLL_IN : 0;
    posix_lock_release(&timer->lock);
    return ready;
}

static void timerfd_release(struct posix_file *file)
{
    struct timer *timer = file->context;
    posix_deadline_cancel(&timer->deadline);
    posix_free(timer);
}

static const struct posix_file_operations timerfd_operations = {
    .read = timerfd_read,
    .stat = event_stat_anonymous,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .ignores_seeking = true,
};

/* @impl ATL-LLR-EVENT-0030~1 */
int64_t posix_timerfd_create(uint64_t clock, uint64_t wanted)
{
    int32_t id = (int32_t)clock;
    uint32_t flags = (uint32_t)wanted;
    bool is_wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_ALARM;
    if ((flags & ~(POSIX_O_NONBLOCK | POSIX_O_CLOEXEC)) != 0 ||
        (!is_wall && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME && id != CLOCK_BOOTTIME_ALARM)) {
        return -EINVAL;
    }
    struct timer *timer = posix_allocate(sizeof(*timer));
    if (timer == NULL) {
        return -ENOMEM;
    }
    timer->at_ns = GATE_NEVER;
    timer->is_wall = is_wall;
    timer->file =
        posix_file_create(&timerfd_operations, (flags & POSIX_O_NONBLOCK) | POSIX_O_RDWR, timer);
    if (timer->file == NULL || posix_deadline_initialize(&timer->deadline, expired) != 0) {
        posix_free(timer->file);
        posix_free(timer);
        return -ENOMEM;
    }
    struct posix_file *file = timer->file;
    int64_t result = posix_descriptor_install(file, (flags & POSIX_O_CLOEXEC) != 0, 0);
    if (result < 0) {
        posix_file_put(file);
    }
    return result;
}

/* Locked. As Linux shows it: the time to the next instant, and the interval. */
static struct linux_itimerspec describe(struct timer *timer)
{
    go_on(timer);
    uint64_t now = posix_now_ns();
    bool is_set = timer->at_ns != GATE_NEVER && !timer->is_standing;
    /* An instant that is over but not yet counted is one nanosecond away: 0 means disarmed. */
    uint64_t rest = timer->at_ns > now ? timer->at_ns - now : 1;
    return (struct linux_itimerspec){
        .interval = posix_timespec_of_ns(timer->interval_ns),
        .value = posix_timespec_of_ns(is_set ? rest : 0),
    };
}

static uint64_t instant_of(const struct timer *timer, const struct posix_timespec *value,
                           bool is_absolute)
{
    uint64_t ns = posix_timespec_to_ns(value);
    if (ns == 0) {
        return GATE_NEVER;
    }
    if (!is_absolute) {
        return posix_deadline_after(ns);
    }
    return timer->is_wall ? posix_deadline_of_realtime(ns) : ns;
}

static void set(struct timer *timer, const struct linux_itimerspec *to, bool is_absolute,
                struct linux_itimerspec *old)
{
    posix_lock_acquire(&timer->lock);
    *old = describe(timer);
    timer->at_ns = instant_of(timer, &to->value, is_absolute);
    timer->interval_ns = posix_timespec_to_ns(&to->interval);
    timer->ticks = 0;
    timer->is_standing = false;
    posix_deadline_set(&timer->deadline, timer->at_ns);
    posix_lock_release(&timer->lock);
}

static struct posix_file *get_timer(uint64_t descriptor, int64_t *error)
{
    struct posix_file *file = posix_file_get(descriptor);
    *error = -EBADF;
    if (file != NULL && file->operations != &timerfd_operations) {
        posix_file_put(file);
        file = NULL;
        *error = -EINVAL;
    }
    return file;
}

/* @impl ATL-LLR-EVENT-0031~1 */
int64_t posix_timerfd_settime(uint64_t descriptor, uint64_t wanted, uint64_t from, uint64_t old_to)
{
    struct linux_itimerspec to;
    struct linux_itimerspec old;
    uint32_t flags = (uint32_t)wanted;
    if (posix_copy_in(&to, from, sizeof(to)) != 0) {
        return -EFAULT;
    }
    if ((flags & ~(TIMER_ABSTIME | TIMER_CANCEL_ON_SET)) != 0 ||
        !posix_timespec_is_valid(&to.value) || !posix_timespec_is_valid(&to.interval)) {
        return -EINVAL;
    }
    int64_t error;
    struct posix_file *file = get_timer(descriptor, &error);
    if (file == NULL) {
        return error;
    }
    set(file->context, &to, (flags & TIMER_ABSTIME) != 0, &old);
    posix_file_put(file);
    return old_to != 0 ? posix_copy_out(old_to, &old, sizeof(old)) : 0;
}

/* @impl ATL-LLR-EVENT-0031~1 */
int64_t posix_timerfd_gettime(uint64_t descriptor, uint64_t to)
{
    int64_t error;
    struct posix_file *file = get_timer(descriptor, &error);
    if (file == NULL) {
        return error;
    }
    struct timer *timer = file->context;
    posix_lock_acquire(&timer->lock);
    struct linux_itimerspec now = describe(timer);
    posix_lock_release(&timer->lock);
    posix_file_put(file);
    return posix_copy_out(to, &now, sizeof(now));
}
