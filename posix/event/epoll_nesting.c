/* SPDX-License-Identifier: Apache-2.0 */
/* epoll instances inside epoll instances: no circles, and at most EDGES_MAX steps from the
 * outermost to the innermost, so that every recursion over them is bounded. */
#include "epoll.h"

#define EDGES_MAX 4u

static struct posix_lock nesting_lock;

void epoll_nesting_acquire(void)
{
    posix_lock_acquire(&nesting_lock);
}

void epoll_nesting_release(void)
{
    posix_lock_release(&nesting_lock);
}

static struct epoll *inner_of(const struct epoll_item *item)
{
    return item->file->context;
}

/* Steps to the innermost one; more than EDGES_MAX if the instance that must not occur does. */
static uint32_t steps_down(const struct epoll *from, const struct epoll *forbidden)
{
    uint32_t steps = 0;
    if (from == forbidden) {
        return EDGES_MAX + 1;
    }
    for (const struct epoll_item *item = from->first_inner; item != NULL; item = item->next_inner) {
        uint32_t below = steps_down(inner_of(item), forbidden) + 1;
        steps = below > steps ? below : steps;
    }
    return steps;
}

static uint32_t steps_up(const struct epoll *from)
{
    uint32_t steps = 0;
    for (const struct epoll_item *item = from->first_outer; item != NULL; item = item->next_outer) {
        uint32_t above = steps_up(item->epoll) + 1;
        steps = above > steps ? above : steps;
    }
    return steps;
}

/* @impl ATL-LLR-EVENT-0022~1 */
int64_t epoll_nesting_check(const struct epoll *outer, const struct epoll *inner)
{
    uint32_t steps = steps_down(inner, outer);
    if (steps <= EDGES_MAX) {
        steps += 1 + steps_up(outer);
    }
    return steps <= EDGES_MAX ? 0 : -ELOOP;
}

void epoll_nesting_link(struct epoll_item *item)
{
    struct epoll *inner = inner_of(item);
    item->next_inner = item->epoll->first_inner;
    item->epoll->first_inner = item;
    item->next_outer = inner->first_outer;
    inner->first_outer = item;
}

void epoll_nesting_unlink(struct epoll_item *item)
{
    struct epoll_item **place = &item->epoll->first_inner;
    while (*place != item) {
        place = &(*place)->next_inner;
    }
    *place = item->next_inner;
    place = &inner_of(item)->first_outer;
    while (*place != item) {
        place = &(*place)->next_outer;
    }
    *place = item->next_outer;
}
