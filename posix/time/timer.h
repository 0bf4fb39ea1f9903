/* SPDX-License-Identifier: Apache-2.0 */
/* Timers that send signals: what setitimer and timer_create have in common. */
#ifndef POSIX_TIME_TIMER_H
#define POSIX_TIME_TIMER_H

#include <posix/deadline.h>
#include <posix/signal.h>
#include <posix/time.h>

enum timer_clock_kind { TIMER_CLOCK_MONOTONIC, TIMER_CLOCK_WALL, TIMER_CLOCK_CPU };

struct timer_clock {
    enum timer_clock_kind kind;
    int32_t thread; /* of a CPU clock: 0 for the process */
};

struct timer {
    struct posix_deadline deadline;
    struct timer_clock clock;
    struct posix_signal_node *node; /* NULL: it sends nothing and is only read */
    struct posix_signal_info info;
    int32_t target; /* thread that gets the signal, 0: the process */
    uint32_t id;
    bool has_default_value; /* that comes with its signal: the id */
    /* guarded by timers_lock */
    uint64_t at_ns, interval_ns; /* on its clock; GATE_NEVER: not running */
    uint32_t generation;         /* changes when it is set: an older signal does not count */
    uint32_t overruns;
    bool is_signalled; /* its signal is queued: goes on when that is taken */
};

/* What is left and the interval, in nanoseconds; both 0: not running. */
struct timer_state {
    uint64_t left_ns, interval_ns;
};

extern struct posix_lock timers_lock; /* rank above the table of threads and the deadlines */

/* The first instant of at, at + interval, ... after now. *missed: how many others have passed since
 * at. Saturates at GATE_NEVER - 1. Pure. */
uint64_t timer_next(uint64_t at_ns, uint64_t interval_ns, uint64_t now_ns, uint64_t *missed);

/* Fills in what the caller has not: deadline, signal place, state. @clock @info @target @id are
 * set.
 *
 * Errors:     -EAGAIN no place for its signal, or no service thread */
int64_t timer_initialize(struct timer *timer, bool has_signal);
/* Nothing of it runs or will; its memory may be freed. Not under timers_lock. */
void timer_finish(struct timer *timer);

/* Now, on a timer's clock; -EINVAL: the clock of a thread that has ended. Not under timers_lock. */
int64_t timer_clock_now(const struct timer_clock *clock, uint64_t *now_ns);

/* Under timers_lock, with now of its clock: stops it or sets it to an instant, and what it was. */
void timer_set(struct timer *timer, uint64_t at_ns, uint64_t interval_ns, uint64_t now_ns);
struct timer_state timer_get(const struct timer *timer, uint64_t now_ns);

/* The timer of that id under timers_lock, or NULL; those of setitimer have the ids from
 * TIMER_INTERVAL_ID on. */
struct timer *timer_find(uint32_t id);
struct timer *timer_find_interval(uint32_t id);
#define TIMER_INTERVAL_ID 0x10000u

#endif
