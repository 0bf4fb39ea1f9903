/* SPDX-License-Identifier: Apache-2.0 */
/* Posix stacks of ended threads, one queue for each core in whose slots they lie. A stack goes to
 * the tail just before its thread's last gate call and is used again only when the kernel has set
 * the record's done word. The queue is first in, first out, so that the word of the head is nearly
 * always set. */
#include "../core/internal.h"

#define CACHED_MAX 64u
#define CORES_MAX 64u

struct cache {
    alignas(64) struct posix_lock lock;
    uint32_t count;
    struct posix_thread *first, *last;
};

static struct cache caches[CORES_MAX];

static void *stack_of(struct posix_thread *thread)
{
    return (uint8_t *)thread + POSIX_RECORD_BYTES - POSIX_STACK_BYTES;
}

/* The head if the kernel is done with it; the cache's lock is held. */
static struct posix_thread *pop(struct cache *cache)
{
    struct posix_thread *head = cache->first;
    if (head == NULL || atomic_load_explicit(&head->done, memory_order_acquire) == 0) {
        return NULL;
    }
    cache->first = head->next_free;
    if (cache->first == NULL) {
        cache->last = NULL;
    }
    cache->count--;
    return head;
}

/* @impl ATL-LLR-POSIX-0021~1 */
void *posix_stack_take(uint32_t core)
{
    struct cache *cache = &caches[core % CORES_MAX];
    posix_lock_acquire(&cache->lock);
    struct posix_thread *thread = pop(cache);
    posix_lock_release(&cache->lock);
    return thread != NULL ? stack_of(thread) : posix_stack_allocate(core);
}

void posix_stack_give(struct posix_thread *self)
{
    struct cache *cache = &caches[self->stack_core % CORES_MAX];
    atomic_store(&self->done, 0);
    self->next_free = NULL;
    posix_lock_acquire(&cache->lock);
    struct posix_thread *surplus = cache->count >= CACHED_MAX ? pop(cache) : NULL;
    if (cache->last != NULL) {
        cache->last->next_free = self;
    } else {
        cache->first = self;
    }
    cache->last = self;
    cache->count++;
    posix_lock_release(&cache->lock);
    if (surplus != NULL) {
        posix_stack_free(stack_of(surplus));
    }
}
