/* SPDX-License-Identifier: Apache-2.0 */
/* The list of items that may be ready, and waiting for it: see epoll.h. An item gets on the list by
 * a notification; whether it is ready only a look at its file tells, when somebody asks. */
#include "epoll.h"

#define PROBE_BYTES 4096u /* a page */
#define EVENTS_INLINE 16u /* on the stack of the call */

/* lock held */
static void append(struct epoll *epoll, struct epoll_item *item)
{
    item->is_ready = true;
    item->next_ready = NULL;
    item->last_ready = epoll->end_ready;
    if (epoll->end_ready != NULL) {
        epoll->end_ready->next_ready = item;
    } else {
        epoll->first_ready = item;
    }
    epoll->end_ready = item;
    epoll->ready_count++;
}

/* lock held */
static void unlink_item(struct epoll *epoll, struct epoll_item *item)
{
    item->is_ready = false;
    if (item->last_ready != NULL) {
        item->last_ready->next_ready = item->next_ready;
    } else {
        epoll->first_ready = item->next_ready;
    }
    if (item->next_ready != NULL) {
        item->next_ready->last_ready = item->last_ready;
    } else {
        epoll->end_ready = item->last_ready;
    }
    epoll->ready_count--;
}

/* lock held; true if a thread waited. */
static bool tell(struct epoll *epoll, struct epoll_item *item)
{
    if (!item->is_ready) {
        append(epoll, item);
    }
    bool has_waiter = posix_wake(&epoll->waiting, 1) != 0;
    if (epoll->file != NULL) {
        posix_file_notify(epoll->file, POSIX_POLL_READABLE);
    }
    return has_waiter;
}

/* @impl ATL-LLR-EVENT-0023~1 */
bool epoll_notified(struct posix_watch *watch, uint32_t events)
{
    struct epoll_item *item = (struct epoll_item *)watch;
    struct epoll *epoll = item->epoll;
    bool has_waiter = false;
    posix_lock_acquire(&epoll->lock);
    if ((events & item->events) != 0) {
        has_waiter = tell(epoll, item);
    }
    posix_lock_release(&epoll->lock);
    return has_waiter;
}

void epoll_make_ready(struct epoll_item *item)
{
    posix_lock_acquire(&item->epoll->lock);
    (void)tell(item->epoll, item);
    posix_lock_release(&item->epoll->lock);
}

void epoll_drop_ready(struct epoll_item *item)
{
    posix_lock_acquire(&item->epoll->lock);
    if (item->is_ready) {
        unlink_item(item->epoll, item);
    }
    posix_lock_release(&item->epoll->lock);
}

/* Takes the first item off the list; what its file does from now on puts it there again. */
static struct epoll_item *take(struct epoll *epoll)
{
    posix_lock_acquire(&epoll->lock);
    struct epoll_item *item = epoll->first_ready;
    if (item != NULL) {
        unlink_item(epoll, item);
    }
    posix_lock_release(&epoll->lock);
    return item;
}

/* An item that was reported: at the list's end again, unless it waits for an edge or is done. */
static void give_back(struct epoll *epoll, struct epoll_item *item)
{
    posix_lock_acquire(&epoll->lock);
    if ((item->events & EPOLL_ONESHOT) != 0) {
        item->events &= EPOLL_MODES;
    } else if ((item->events & EPOLL_EDGE) == 0 && !item->is_ready) {
        append(epoll, item);
    }
    posix_lock_release(&epoll->lock);
}

/* mutex held. Only what is on the list at the start is looked at: nothing is reported twice. */
static uint32_t collect(struct epoll *epoll, struct linux_epoll_event *events, uint32_t count_max)
{
    uint32_t count = 0;
    for (uint32_t rest = epoll->ready_count; rest != 0 && count < count_max; rest--) {
        struct epoll_item *item = take(epoll);
        if (item == NULL) {
            break;
        }
        uint32_t ready = epoll_look(item);
        if (ready != 0) {
            events[count++] = (struct linux_epoll_event){ready, item->data};
            give_back(epoll, item);
        }
    }
    return count;
}

bool epoll_has_ready(struct epoll *epoll)
{
    bool is_found = false;
    posix_lock_acquire(&epoll->mutex);
    for (uint32_t rest = epoll->ready_count; rest != 0 && !is_found; rest--) {
        struct epoll_item *item = take(epoll);
        is_found = item != NULL && epoll_look(item) != 0;
        if (is_found) {
            posix_lock_acquire(&epoll->lock);
            if (!item->is_ready) {
                append(epoll, item);
            }
            posix_lock_release(&epoll->lock);
        }
    }
    posix_lock_release(&epoll->mutex);
    return is_found;
}

/* Before events are taken off the list: a copy to the buffer will not fail. */
static int64_t check_writable(uint64_t to, uint64_t bytes)
{
    for (uint64_t at = to & ~3ull; at < to + bytes; at = (at | (PROBE_BYTES - 1)) + 1) {
        uint32_t seen;
        if (posix_exchange_u32(at, 0, 0, &seen) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

/* Stores what is ready now. */
static int64_t send(struct epoll *epoll, uint64_t to, uint32_t count_max)
{
    struct linux_epoll_event inline_events[EVENTS_INLINE];
    struct linux_epoll_event *events = inline_events;
    uint64_t bytes = count_max * sizeof(*events);
    if (check_writable(to, bytes) != 0) {
        return -EFAULT;
    }
    if (count_max > EVENTS_INLINE) {
        events = posix_allocate(bytes);
        if (events == NULL) { /* fewer at a time will do */
            events = inline_events;
            count_max = EVENTS_INLINE;
        }
    }
    posix_lock_acquire(&epoll->mutex);
    uint32_t count = collect(epoll, events, count_max);
    posix_lock_acquire(&epoll->lock);
    if (epoll->first_ready != NULL) {
        posix_wake(&epoll->waiting, 1); /* there is more, for somebody else */
    }
    posix_lock_release(&epoll->lock);
    posix_lock_release(&epoll->mutex);
    int64_t result = count;
    if (posix_copy_out(to, events, count * sizeof(*events)) != 0) {
        result = -EFAULT;
    }
    if (events != inline_events) {
        posix_free(events);
    }
    return result;
}

/* Until something is on the list. */
static int64_t wait_for_list(struct epoll *epoll, uint64_t deadline_ns)
{
    posix_lock_acquire(&epoll->lock);
    if (epoll->first_ready != NULL) {
        posix_lock_release(&epoll->lock);
        return 0;
    }
    return posix_wait(&epoll->waiting, &epoll->lock, deadline_ns);
}

/* @impl ATL-LLR-EVENT-0024~1 */
int64_t epoll_wait_events(struct epoll *epoll, uint64_t to, uint32_t count_max,
                          uint64_t deadline_ns)
{
    int64_t waited = 0;
    for (;;) {
        uint32_t listed = epoll->ready_count;
        if (listed != 0) {
            int64_t result = send(epoll, to, listed < count_max ? listed : count_max);
            if (result != 0) {
                return result;
            }
        }
        if (waited != 0 || deadline_ns == 0) {
            return waited == -EINTR ? -EINTR : 0;
        }
        waited = wait_for_list(epoll, deadline_ns);
    }
}
