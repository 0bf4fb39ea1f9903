/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for many files at once, for poll and select: a watch on each, then one park. */
#include "../core/internal.h"
#include "event.h"

/* The waiting thread, on its own stack: valid as long as a watch of it is on a file. */
struct event_waiter {
    uint64_t handle;
    _Atomic uint32_t is_woken;
};

static bool wake(struct posix_watch *watch, uint32_t events)
{
    struct event_entry *entry = (struct event_entry *)watch; /* its first field */
    if ((events & entry->wanted) == 0) {
        return false;
    }
    struct event_waiter *waiter = entry->waiter;
    if (atomic_exchange(&waiter->is_woken, 1) == 0) {
        gate_unpark(waiter->handle, 0);
    }
    return true;
}
_Static_assert(offsetof(struct event_entry, watch) == 0, "wake finds the entry");

static uint32_t look(struct posix_file *file)
{
    return file->operations->poll != NULL ? file->operations->poll(file)
                                          : POSIX_POLL_READABLE | POSIX_POLL_WRITABLE;
}

/* Looks at all of them; with a waiter, watches each until the first one is ready: then nobody will
 * wait. Returns how many are ready. */
static uint64_t look_at_all(struct event_entry *entries, uint64_t count,
                            struct event_waiter *waiter)
{
    uint64_t ready_count = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct event_entry *entry = &entries[i];
        if (entry->file != NULL) {
            if (waiter != NULL && ready_count == 0 && entry->file->operations->poll != NULL) {
                entry->waiter = waiter;
                entry->watch = (struct posix_watch){.notify = wake};
                posix_watch_add(entry->file, &entry->watch);
                entry->is_watched = true;
            }
            entry->ready = look(entry->file) & entry->wanted;
        }
        ready_count += entry->ready != 0;
    }
    return ready_count;
}

void event_put_all(struct event_entry *entries, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (entries[i].is_watched) {
            posix_watch_remove(entries[i].file, &entries[i].watch);
        }
        if (entries[i].file != NULL) {
            posix_file_put(entries[i].file);
        }
    }
}

/* @impl ATL-LLR-EVENT-0007~1 */
int64_t event_wait_many(struct event_entry *entries, uint64_t count, uint64_t deadline_ns)
{
    struct event_waiter waiter = {.handle = posix_thread_handle(posix_self())};
    uint64_t ready = look_at_all(entries, count, deadline_ns != 0 ? &waiter : NULL);
    int64_t waited = ready == 0 && posix_signal_is_pending() ? -EINTR : 0;
    while (ready == 0 && waited == 0) {
        waited = deadline_ns != 0 ? posix_park(&waiter.is_woken, deadline_ns) : -ETIMEDOUT;
        /* Cleared before the look: what changes after it wakes us again. */
        atomic_exchange(&waiter.is_woken, 0);
        ready = look_at_all(entries, count, NULL);
    }
    event_put_all(entries, count);
    return ready != 0 ? (int64_t)ready : waited == -ETIMEDOUT ? 0 : -EINTR;
}
