/* SPDX-License-Identifier: Apache-2.0 */
/* The items of an epoll instance: a hash table by descriptor. See epoll.h. */
#include "epoll.h"

#include <posix/event.h>

#define ALWAYS_WANTED (POSIX_POLL_ERR | POSIX_POLL_HUP)
#define EXCLUSIVE_ALLOWED                                                                          \
    (POSIX_POLL_IN | POSIX_POLL_OUT | ALWAYS_WANTED | EPOLL_WAKEUP | EPOLL_EDGE | EPOLL_EXCLUSIVE)

uint32_t epoll_look(const struct epoll_item *item)
{
    return item->file->operations->poll(item->file) & item->events & ~EPOLL_MODES;
}

static struct epoll_item **bucket_of(struct epoll *epoll, uint32_t descriptor)
{
    return &epoll->buckets[descriptor & (epoll->bucket_count - 1)];
}

/* The same number may stand for several files, if older ones are still open elsewhere. */
static struct epoll_item *find(struct epoll *epoll, const struct posix_file *file,
                               uint32_t descriptor)
{
    struct epoll_item *item = *bucket_of(epoll, descriptor);
    while (item != NULL && (item->descriptor != descriptor || item->file != file)) {
        item = item->next_in_bucket;
    }
    return item;
}

static void insert(struct epoll *epoll, struct epoll_item *item)
{
    struct epoll_item **bucket = bucket_of(epoll, item->descriptor);
    item->next_in_bucket = *bucket;
    *bucket = item;
}

/* Twice as many buckets; without memory the chains just get longer. */
static void grow(struct epoll *epoll)
{
    uint32_t old_count = epoll->bucket_count;
    struct epoll_item **old = epoll->buckets;
    struct epoll_item **larger = posix_allocate(2ul * old_count * sizeof(*larger));
    if (larger == NULL) {
        return;
    }
    epoll->buckets = larger;
    epoll->bucket_count = 2 * old_count;
    for (uint32_t i = 0; i < old_count; i++) {
        for (struct epoll_item *item = old[i], *next; item != NULL; item = next) {
            next = item->next_in_bucket;
            insert(epoll, item);
        }
    }
    if (old != epoll->first_buckets) {
        posix_free(old);
    }
}

/* With the nesting lock if the item is an instance. */
static void remove_item(struct epoll *epoll, struct epoll_item *item)
{
    struct epoll_item **place = bucket_of(epoll, item->descriptor);
    while (*place != item) {
        place = &(*place)->next_in_bucket;
    }
    *place = item->next_in_bucket;
    epoll->item_count--;
    if (epoll_is_instance(item->file)) {
        epoll_nesting_unlink(item);
    }
    posix_watch_remove(item->file, &item->watch);
    epoll_drop_ready(item);
    posix_free(item);
}

static void acquire_items(struct epoll *epoll, const struct posix_file *file)
{
    if (epoll_is_instance(file)) {
        epoll_nesting_acquire();
    }
    posix_lock_acquire(&epoll->mutex);
}

static void release_items(struct epoll *epoll, const struct posix_file *file)
{
    posix_lock_release(&epoll->mutex);
    if (epoll_is_instance(file)) {
        epoll_nesting_release();
    }
}

/* Both locks: from then on the file's changes put the item on the list. */
static void start(struct epoll *epoll, struct epoll_item *item)
{
    if (epoll->item_count >= epoll->bucket_count) {
        grow(epoll);
    }
    insert(epoll, item);
    epoll->item_count++;
    if (epoll_is_instance(item->file)) {
        epoll_nesting_link(item);
    }
    posix_watch_add(item->file, &item->watch);
    if (epoll_look(item) != 0) {
        epoll_make_ready(item);
    }
}

/* @impl ATL-LLR-EVENT-0020~1 */
int64_t epoll_add(struct epoll *epoll, struct posix_file *file, uint32_t descriptor,
                  const struct linux_epoll_event *event)
{
    bool is_exclusive = (event->events & EPOLL_EXCLUSIVE) != 0;
    if (is_exclusive && (epoll_is_instance(file) || (event->events & ~EXCLUSIVE_ALLOWED) != 0)) {
        return -EINVAL;
    }
    struct epoll_item *item = posix_allocate(sizeof(*item));
    if (item == NULL) {
        return -ENOMEM;
    }
    *item = (struct epoll_item){
        .watch = {.notify = epoll_notified, .is_exclusive = is_exclusive},
        .epoll = epoll,
        .file = file,
        .descriptor = descriptor,
        .events = event->events | ALWAYS_WANTED,
        .data = event->data,
    };
    acquire_items(epoll, file);
    int64_t result = epoll_is_instance(file) ? epoll_nesting_check(epoll, file->context) : 0;
    if (result == 0 && find(epoll, file, descriptor) != NULL) {
        result = -EEXIST;
    }
    if (result == 0) {
        start(epoll, item);
    }
    release_items(epoll, file);
    if (result != 0) {
        posix_free(item);
    }
    return result;
}

/* @impl ATL-LLR-EVENT-0020~1 */
int64_t epoll_modify(struct epoll *epoll, struct posix_file *file, uint32_t descriptor,
                     const struct linux_epoll_event *event)
{
    if ((event->events & EPOLL_EXCLUSIVE) != 0) {
        return -EINVAL;
    }
    posix_lock_acquire(&epoll->mutex);
    struct epoll_item *item = find(epoll, file, descriptor);
    int64_t result = item == NULL ? -ENOENT : item->watch.is_exclusive ? -EINVAL : 0;
    if (result == 0) {
        posix_lock_acquire(&epoll->lock);
        item->events = event->events | ALWAYS_WANTED;
        posix_lock_release(&epoll->lock);
        item->data = event->data;
        if (epoll_look(item) != 0) {
            epoll_make_ready(item);
        }
    }
    posix_lock_release(&epoll->mutex);
    return result;
}

int64_t epoll_delete(struct epoll *epoll, struct posix_file *file, uint32_t descriptor)
{
    acquire_items(epoll, file);
    struct epoll_item *item = find(epoll, file, descriptor);
    if (item != NULL) {
        remove_item(epoll, item);
    }
    release_items(epoll, file);
    return item != NULL ? 0 : -ENOENT;
}

static void put(struct epoll *epoll)
{
    if (atomic_fetch_sub_explicit(&epoll->references, 1, memory_order_acq_rel) == 1) {
        if (epoll->buckets != epoll->first_buckets) {
            posix_free(epoll->buckets);
        }
        posix_free(epoll);
    }
}

void epoll_close(struct epoll *epoll)
{
    epoll_nesting_acquire();
    posix_lock_acquire(&epoll->mutex);
    for (uint32_t i = 0; i < epoll->bucket_count; i++) {
        while (epoll->buckets[i] != NULL) {
            remove_item(epoll, epoll->buckets[i]);
        }
    }
    posix_lock_acquire(&epoll->lock);
    epoll->file = NULL;
    posix_lock_release(&epoll->lock);
    posix_lock_release(&epoll->mutex);
    epoll_nesting_release();
    put(epoll);
}

/* An item of the file, of that instance if it is not NULL. The file's lock is held. */
static struct epoll_item *item_on(struct posix_file *file, const struct epoll *epoll)
{
    struct posix_watch *watch = file->first_watch;
    while (watch != NULL && epoll != NULL && ((struct epoll_item *)watch)->epoll != epoll) {
        watch = watch->next;
    }
    return (struct epoll_item *)watch;
}
_Static_assert(offsetof(struct epoll_item, watch) == 0, "a watch is its item");

/* The instance must not go while its mutex is awaited: so it is referenced, which its item allows
 * as long as the item is seen on the file. @impl ATL-LLR-EVENT-0021~1 */
void posix_epoll_forget(struct posix_file *file)
{
    for (;;) {
        posix_lock_acquire(&file->lock);
        struct epoll_item *item = item_on(file, NULL);
        struct epoll *epoll = item != NULL ? item->epoll : NULL;
        if (epoll != NULL) {
            atomic_fetch_add_explicit(&epoll->references, 1, memory_order_relaxed);
        }
        posix_lock_release(&file->lock);
        if (epoll == NULL) {
            return;
        }
        acquire_items(epoll, file);
        do {
            posix_lock_acquire(&file->lock);
            item = item_on(file, epoll);
            posix_lock_release(&file->lock);
            if (item != NULL) {
                remove_item(epoll, item);
            }
        } while (item != NULL);
        release_items(epoll, file);
        put(epoll);
    }
}
