/* SPDX-License-Identifier: Apache-2.0 */
/* epoll instances. Two locks each, because a notification comes from below a file's locks while a
 * look at a file takes them:
 *
 *   mutex   the items; held while files are looked at. Above the locks of files
 *   lock    the list of items that may be ready, and who waits. Below the locks of files
 *
 * Items whose file is an epoll instance itself are added and removed under the one nesting lock,
 * which is above every mutex: so the depth can be checked, and no circle is ever closed.
 *
 * An item has no reference on its file. A file whose last reference goes is first taken out of all
 * instances, which needs their mutex: who holds the mutex may look at every item's file. */
#ifndef POSIX_EVENT_EPOLL_H
#define POSIX_EVENT_EPOLL_H

#include "event.h"

#define EPOLL_EXCLUSIVE (1u << 28)
#define EPOLL_WAKEUP (1u << 29)
#define EPOLL_ONESHOT (1u << 30)
#define EPOLL_EDGE (1u << 31)
#define EPOLL_MODES (EPOLL_EXCLUSIVE | EPOLL_WAKEUP | EPOLL_ONESHOT | EPOLL_EDGE)
#define EPOLL_BUCKETS_START 16u

struct epoll_item {
    struct posix_watch watch; /* first: notify finds the item */
    struct epoll *epoll;
    struct posix_file *file;
    uint32_t descriptor;
    uint32_t events; /* written under both locks; without EPOLL_MODES nothing: disabled */
    uint64_t data;
    struct epoll_item *next_in_bucket;          /* mutex */
    struct epoll_item *next_ready, *last_ready; /* lock */
    bool is_ready;                              /* lock: is on the list */
    struct epoll_item *next_inner, *next_outer; /* nesting lock; of a nested instance only */
};

struct epoll {
    _Atomic uint32_t references; /* the file, and who removes an item */
    struct posix_lock mutex, lock;
    struct posix_file *file; /* lock; NULL: closed */
    struct epoll_item **buckets, *first_buckets[EPOLL_BUCKETS_START];
    uint32_t bucket_count, item_count;
    struct epoll_item *first_ready, *end_ready;
    _Atomic uint32_t ready_count; /* written under lock */
    struct posix_wait_queue waiting;
    struct epoll_item *first_inner; /* nesting lock: my items that are instances */
    struct epoll_item *first_outer; /* nesting lock: items of others that are me */
};

/* Linux's struct epoll_event, which is packed on x86-64. */
struct linux_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct linux_epoll_event) == 12, "struct epoll_event");

extern const struct posix_file_operations epoll_operations;
static inline bool epoll_is_instance(const struct posix_file *file)
{
    return file->operations == &epoll_operations;
}

/* ---- the items (epoll_items.c) */
/* What a file shows of the events that an item waits for. mutex is held. */
uint32_t epoll_look(const struct epoll_item *item);
/* Each does what epoll_ctl does, with Linux's errors; the file is referenced by the caller. */
int64_t epoll_add(struct epoll *epoll, struct posix_file *file, uint32_t descriptor,
                  const struct linux_epoll_event *event);
int64_t epoll_modify(struct epoll *epoll, struct posix_file *file, uint32_t descriptor,
                     const struct linux_epoll_event *event);
int64_t epoll_delete(struct epoll *epoll, struct posix_file *file, uint32_t descriptor);
/* Removes all items and gives the file's reference back. */
void epoll_close(struct epoll *epoll);

/* ---- nesting (epoll_nesting.c); its lock is held */
void epoll_nesting_acquire(void);
void epoll_nesting_release(void);
/* -ELOOP: the inner instance in the outer one would close a circle or be too deep. */
int64_t epoll_nesting_check(const struct epoll *outer, const struct epoll *inner);
void epoll_nesting_link(struct epoll_item *item);
void epoll_nesting_unlink(struct epoll_item *item);

/* ---- the list of those that may be ready (epoll_ready.c) */
/* An item's notify. */
bool epoll_notified(struct posix_watch *watch, uint32_t events);
/* Puts an item on the list and tells a waiter. */
void epoll_make_ready(struct epoll_item *item);
/* Takes it off; mutex is held. */
void epoll_drop_ready(struct epoll_item *item);
/* True if an item of the instance is ready; takes those off the list that are not. */
bool epoll_has_ready(struct epoll *epoll);
/* Waits until items are ready and stores them.
 *
 * Returns the number of events; 0: the deadline has passed
 * Errors:     -EINTR | -EFAULT: nothing was taken off the list */
int64_t epoll_wait_events(struct epoll *epoll, uint64_t to, uint32_t count_max,
                          uint64_t deadline_ns);

#endif
