/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of event/ share. */
#ifndef POSIX_EVENT_EVENT_H
#define POSIX_EVENT_EVENT_H

#include <posix/file.h>
#include <posix/thread.h>

/* Fills what a stat shows of a file that has no name and no contents: all but mode and number 0. */
void event_stat(struct posix_stat *stat, uint32_t mode, uint64_t number);
/* The stat operation of every file that is neither: Linux shows one inode for all of them. */
int64_t event_stat_anonymous(struct posix_file *file, struct posix_stat *stat);

/* Makes an open file and gives it a descriptor.
 *
 * @context    taken over on success
 * @flags      POSIX_O_*, POSIX_O_CLOEXEC for the descriptor
 * Errors:     -ENOMEM | -EMFILE; the context is still the caller's, and release was not called */
int64_t event_install(const struct posix_file_operations *operations, uint32_t flags,
                      void *context);

static inline bool event_is_nonblocking(const struct posix_file *file)
{
    return (file->flags & POSIX_O_NONBLOCK) != 0;
}

/* ---- a mask of blocked signals for the time of one call (mask.c) */
struct event_mask {
    bool is_set;
    uint64_t saved;
};

/* Blocks the set at an application address; 0: leaves the mask alone.
 *
 * Errors:     -EINVAL: bytes is not 8 | -EFAULT */
int64_t event_mask_set(struct event_mask *mask, uint64_t from, uint64_t bytes);
/* The old mask comes back: at once, or, if a signal ended the wait, when it was delivered. */
void event_mask_restore(const struct event_mask *mask, bool is_interrupted);

/* ---- a timeout in the application's memory, which is counted down (timeout.c) */
enum event_time_kind { EVENT_TIMESPEC, EVENT_TIMEVAL };
struct event_timeout {
    uint64_t deadline_ns; /* 0: only look; GATE_NEVER: none */
    uint64_t from;        /* its address; 0: none */
    enum event_time_kind kind;
};

/* Errors:     -EFAULT | -EINVAL */
int64_t event_timeout_load(struct event_timeout *timeout, uint64_t from, enum event_time_kind kind);
/* Stores what is left. Returns what the call returns: the result, or for -EINTR the request to
 * make the call again if no handler runs. */
int64_t event_timeout_finish(const struct event_timeout *timeout, int64_t result);

/* ---- waiting for many files (wait_many.c) */
struct event_waiter;
struct event_entry {
    struct posix_watch watch;
    struct event_waiter *waiter;
    struct posix_file *file; /* referenced; NULL: passed over, ready stays as it is */
    uint32_t wanted;         /* POSIX_POLL_*; ERR and HUP only if they are in it */
    uint32_t ready;          /* out: what of it holds */
    bool is_watched;
};

/* Waits until an entry is ready.
 *
 * Returns how many entries have ready != 0; 0: the deadline has passed | -EINTR: a signal came and
 * nothing is ready. Gives the files' references back. */
int64_t event_wait_many(struct event_entry *entries, uint64_t count, uint64_t deadline_ns);
/* Gives the files' references back without waiting. */
void event_put_all(struct event_entry *entries, uint64_t count);
#define EVENT_ENTRIES_INLINE 8u /* that a call has room for on its stack */

#endif
