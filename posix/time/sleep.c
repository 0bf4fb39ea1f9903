/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping until a deadline or a signal. */
#include "../core/internal.h"
#include "cpu.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define CLOCK_TAI 11
#define TIMER_ABSTIME 1u
#define NOT_CPU (-1)

/* Nobody ever wakes a sleeper but time and signals. */
static int64_t sleep_until(uint64_t deadline_ns)
{
    static const _Atomic uint32_t never_woken = 0;
    int64_t result = posix_park(&never_woken, deadline_ns);
    return result == -ETIMEDOUT ? 0 : result;
}

/* Until a CPU clock has reached an instant; it may take any time. */
static int64_t sleep_until_used(int32_t thread, uint64_t at_ns)
{
    for (;;) {
        uint64_t now_ns;
        if (cpu_clock_read(thread, &now_ns) != 0 || now_ns >= at_ns) {
            return 0; /* the clock of a thread that ended stands still for ever */
        }
        int64_t result = sleep_until(cpu_clock_deadline(thread, at_ns - now_ns));
        if (result != 0) {
            return result;
        }
    }
}

/* A relative sleep as the instant at which it ends, on the monotonic or a CPU clock. */
struct sleep {
    int32_t cpu_thread; /* NOT_CPU: monotonic */
    uint64_t at_ns, remaining_to;
};

static int64_t store_remaining(const struct sleep *sleep)
{
    if (sleep->remaining_to == 0) {
        return 0;
    }
    uint64_t now_ns = posix_now_ns();
    if (sleep->cpu_thread != NOT_CPU && cpu_clock_read(sleep->cpu_thread, &now_ns) != 0) {
        now_ns = sleep->at_ns;
    }
    uint64_t left_ns = sleep->at_ns > now_ns ? sleep->at_ns - now_ns : 0;
    struct posix_timespec rest = posix_timespec_of_ns(left_ns);
    return posix_copy_out(sleep->remaining_to, &rest, sizeof(rest));
}

static int64_t sleep_relative_again(struct posix_thread *self);

/* The rest is stored at once: a handler may look at it, and without one the call goes on. */
static int64_t sleep_relative(const struct sleep *sleep)
{
    int64_t result = sleep->cpu_thread == NOT_CPU
                         ? sleep_until(sleep->at_ns)
                         : sleep_until_used(sleep->cpu_thread, sleep->at_ns);
    if (result != -EINTR) {
        return result;
    }
    int64_t stored = store_remaining(sleep);
    if (stored != 0) {
        return stored;
    }
    struct posix_thread *self = posix_self();
    self->restart = sleep_relative_again;
    self->restart_argument[0] = sleep->at_ns;
    self->restart_argument[1] = sleep->remaining_to;
    self->restart_argument[2] = (uint64_t)sleep->cpu_thread;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t sleep_relative_again(struct posix_thread *self)
{
    struct sleep sleep = {(int32_t)self->restart_argument[2], self->restart_argument[0],
                          self->restart_argument[1]};
    return sleep_relative(&sleep);
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
    struct sleep sleep = {NOT_CPU, 0, remaining_to};
    if (loaded != 0) {
        return loaded;
    }
    sleep.at_ns = posix_deadline_after(ns);
    return sleep_relative(&sleep);
}

/* Another thread's time can be waited for, the process's too; one's own never comes.
 * @impl ATL-LLR-TIMER-0013~1 */
static int64_t sleep_on_cpu_clock(int32_t id, bool is_absolute, uint64_t ns, uint64_t remaining_to)
{
    struct cpu_clock cpu;
    uint64_t now_ns;
    int64_t result = cpu_clock_decode(id, &cpu);
    if (result == 0 && cpu.thread == posix_self()->id) {
        return -EINVAL;
    }
    if (result == 0) {
        result = cpu_clock_read(cpu.thread, &now_ns);
    }
    if (result != 0) {
        return result;
    }
    if (is_absolute) {
        result = sleep_until_used(cpu.thread, ns);
        return result == -EINTR ? -ERESTARTNOHAND : result;
    }
    struct sleep sleep = {cpu.thread, ns > GATE_NEVER - now_ns ? GATE_NEVER : now_ns + ns,
                          remaining_to};
    return sleep_relative(&sleep);
}

int64_t posix_clock_nanosleep(uint64_t clock, uint64_t flags, uint64_t from, uint64_t remaining_to)
{
    int32_t id = (int32_t)clock;
    bool is_absolute = (flags & TIMER_ABSTIME) != 0;
    bool is_wall = id == CLOCK_REALTIME || id == CLOCK_TAI;
    bool is_cpu = cpu_clock_is_one(id);
    if (id > CLOCK_TAI || id == 10) {
        return -EINVAL;
    }
    if (id == CLOCK_THREAD_CPUTIME_ID ||
        (!is_wall && !is_cpu && id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME)) {
        return -EOPNOTSUPP; /* coarse, raw and alarm clocks; one's own time never comes */
    }
    uint64_t ns;
    int64_t loaded = load_time(from, &ns);
    if (loaded != 0) {
        return loaded;
    }
    if (is_cpu) {
        return sleep_on_cpu_clock(id, is_absolute, ns, remaining_to);
    }
    if (!is_absolute) {
        struct sleep sleep = {NOT_CPU, posix_deadline_after(ns), remaining_to};
        return sleep_relative(&sleep);
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
