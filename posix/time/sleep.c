/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping until a deadline or a signal. */
#include "../core/internal.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_BOOTTIME 7
#define CLOCK_TAI 11
#define TIMER_ABSTIME 1u

/* Nobody ever wakes a sleeper but time and signals. */
static int64_t sleep_until(uint64_t deadline_ns)
{
    static const _Atomic uint32_t never_woken = 0;
    int64_t result = posix_park(&never_woken, deadline_ns);
    return result == -ETIMEDOUT ? 0 : result;
}

static int64_t store_remaining(uint64_t to, uint64_t deadline_ns)
{
    if (to == 0) {
        return 0;
    }
    uint64_t now = posix_now_ns();
    struct posix_timespec rest = posix_timespec_of_ns(deadline_ns > now ? deadline_ns - now : 0);
    return posix_copy_out(to, &rest, sizeof(rest));
}

static int64_t sleep_relative_again(struct posix_thread *self);

/* The rest is stored at once: a handler may look at it, and without one the call goes on. */
static int64_t sleep_relative(uint64_t deadline_ns, uint64_t remaining_to)
{
    int64_t result = sleep_until(deadline_ns);
    if (result != -EINTR) {
        return result;
    }
    int64_t stored = store_remaining(remaining_to, deadline_ns);
    if (stored != 0) {
        return stored;
    }
    struct posix_thread *self = posix_self();
    self->restart = sleep_relative_again;
    self->restart_argument[0] = deadline_ns;
    self->restart_argument[1] = remaining_to;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_relative_again(struct posix_thread *self)
{
    return sleep_relative(self->restart_argument[0], self->restart_argument[1]);
}

static int64_t load_time(uint64_t from, uint64_t *ns)
{
    struct posix_timespec time;
    int64_t copied = posix_copy_in(&time, from, sizeof(time));
    if (copied != 0) {
        return copied;
    }
    if (!posix_timespec_is_valid(&time)) {
        return -EINVAL;
    }
    *ns = posix_timespec_to_ns(&time);
    return 0;
}

/* @impl ATL-LLR-POSIX-0032~1 */
int64_t posix_nanosleep(uint64_t from, uint64_t remaining_to)
{
    uint64_t ns;
    int64_t loaded = load_time(from, &ns);
    return loaded != 0 ? loaded : sleep_relative(posix_deadline_after(ns), remaining_to);
}

int64_t posix_clock_nanosleep(uint64_t clock, uint64_t flags, uint64_t from, uint64_t remaining_to)
{
    int32_t id = (int32_t)clock;
    bool is_wall = id == CLOCK_REALTIME || id == CLOCK_TAI;
    if (!is_wall && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME) {
        return id == CLOCK_PROCESS_CPUTIME_ID ? -EOPNOTSUPP : -EINVAL;
    }
    uint64_t ns;
    int64_t loaded = load_time(from, &ns);
    if (loaded != 0) {
        return loaded;
    }
    if ((flags & TIMER_ABSTIME) == 0) {
        return sleep_relative(posix_deadline_after(ns), remaining_to);
    }
    int64_t result = sleep_until(is_wall ? posix_deadline_of_realtime(ns) : ns);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

int64_t posix_restart_syscall(void)
{
    struct posix_thread *self = posix_self();
    posix_restart restart = self->restart;
    self->restart = NULL;
    return restart != NULL ? restart(self) : -EINTR;
}
