/* SPDX-License-Identifier: Apache-2.0 */
/* The watches of open files: see posix/file.h. */
#include <posix/file.h>

void posix_watch_add(struct posix_file *file, struct posix_watch *watch)
{
    posix_lock_acquire(&file->lock);
    struct posix_watch *first = atomic_load_explicit(&file->first_watch, memory_order_relaxed);
    if (watch->is_exclusive && first != NULL) {
        watch->next = NULL;
        watch->previous = file->last_watch;
        file->last_watch->next = watch;
        file->last_watch = watch;
    } else {
        watch->next = first;
        watch->previous = NULL;
        if (first != NULL) {
            first->previous = watch;
        } else {
            file->last_watch = watch;
        }
        atomic_store_explicit(&file->first_watch, watch, memory_order_relaxed);
    }
    posix_lock_release(&file->lock);
}

void posix_watch_remove(struct posix_file *file, struct posix_watch *watch)
{
    posix_lock_acquire(&file->lock);
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        atomic_store_explicit(&file->first_watch, watch->next, memory_order_relaxed);
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    } else {
        file->last_watch = watch->previous;
    }
    posix_lock_release(&file->lock);
}

/* @impl ATL-LLR-EVENT-0001~1 */
void posix_watch_notify(struct posix_file *file, uint32_t events)
{
    posix_lock_acquire(&file->lock);
    bool is_taken = false;
    for (struct posix_watch *watch = file->first_watch; watch != NULL; watch = watch->next) {
        if (!watch->is_exclusive || !is_taken) {
            bool takes = watch->notify(watch, events);
            is_taken = is_taken || (takes && watch->is_exclusive);
        }
    }
    posix_lock_release(&file->lock);
}
