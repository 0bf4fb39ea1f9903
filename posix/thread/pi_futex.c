/* SPDX-License-Identifier: Apache-2.0 */
/* See pi_futex.h. All who wait are in one list in the order of their levels; so the first that
 * waits for a mutex is its next owner, and the first that waits for a thread is whose level it
 * inherits.
 *
 * One lock guards it, and who wants the lock runs at the ceiling, above all of the application:
 * otherwise a thread of middle priority could keep the lock's holder from running. The word is
 * looked at under the lock, as in futex.c: it has been made present before. */
#include "pi_futex.h"
#include "../core/internal.h"
#include "futex.h"

#define LEVEL_CEILING (GATE_PRIORITY_COUNT - 2 + GATE_PRIORITY_FIFO)
#define WAITS 1 /* of acquire: the caller is in the list */

struct pi_waiter {
    struct pi_waiter *next;
    struct posix_thread *thread, *owner;
    uint64_t address, handle;
    uint32_t level;         /* of the thread; what the owner inherits */
    _Atomic uint32_t woken; /* set last, by who made the thread the owner */
};

static struct posix_lock lock;
static _Atomic(struct pi_waiter *) first_waiter; /* written under lock */

static uint32_t rank(uint32_t level)
{
    return level & (GATE_PRIORITY_COUNT - 1);
}

/* ---- the ceiling */

/* Whoever changes a thread's level looks at is_at_ceiling after it has stored what the level
 * follows from; who leaves the ceiling looks at that after is_at_ceiling: one of them sees the
 * other. */
static void enter(struct posix_thread *self)
{
    atomic_store(&self->is_at_ceiling, true);
    gate_thread_set(0, LEVEL_CEILING, GATE_KEEP, 0);
    posix_lock_acquire(&lock);
}

static void leave(struct posix_thread *self)
{
    posix_lock_release(&lock);
    atomic_store(&self->is_at_ceiling, false);
    uint32_t level;
    do {
        level = posix_scheduling_level(self);
        gate_thread_set(0, level, GATE_KEEP, 0);
    } while (level != posix_scheduling_level(self));
}

static void apply(struct posix_thread *thread)
{
    uint64_t handle = atomic_load(&thread->handle);
    if (!atomic_load(&thread->is_at_ceiling) && handle > HANDLE_AWAITED) {
        gate_thread_set(handle, posix_scheduling_level(thread), GATE_KEEP, 0);
    }
}

/* ---- the list; locked */

static struct pi_waiter *first_at(uint64_t address)
{
    struct pi_waiter *waiter = first_waiter;
    while (waiter != NULL && waiter->address != address) {
        waiter = waiter->next;
    }
    return waiter;
}

static struct pi_waiter *first_for(const struct posix_thread *owner)
{
    struct pi_waiter *waiter = first_waiter;
    while (waiter != NULL && waiter->owner != owner) {
        waiter = waiter->next;
    }
    return waiter;
}

/* What a thread waits in; NULL: it does not. */
static struct pi_waiter *waiter_of(const struct posix_thread *thread)
{
    struct pi_waiter *waiter = first_waiter;
    while (waiter != NULL && waiter->thread != thread) {
        waiter = waiter->next;
    }
    return waiter;
}

/* Behind those of its level. */
static void insert(struct pi_waiter *waiter)
{
    struct pi_waiter *before = NULL;
    struct pi_waiter *after = first_waiter;
    waiter->level = posix_scheduling_level(waiter->thread);
    while (after != NULL && rank(after->level) >= rank(waiter->level)) {
        before = after;
        after = after->next;
    }
    waiter->next = after;
    if (before != NULL) {
        before->next = waiter;
    } else {
        first_waiter = waiter;
    }
}

static void take_out(const struct pi_waiter *waiter)
{
    if (first_waiter == waiter) {
        first_waiter = waiter->next;
        return;
    }
    struct pi_waiter *before = first_waiter;
    while (before->next != waiter) {
        before = before->next;
    }
    before->next = waiter->next;
}

/* After a thread's waiters or its policy changed: its level follows, then that of the thread that
 * it waits for, and so on. No chain is a ring: acquire sees to that.
 * @impl ATL-LLR-FUTEX-0021~1 */
static void update(struct posix_thread *thread)
{
    bool goes_on = true;
    while (thread != NULL && goes_on) {
        const struct pi_waiter *highest = first_for(thread);
        atomic_store(&thread->inherited_level, highest != NULL ? highest->level : 0);
        apply(thread);
        struct pi_waiter *waiter = waiter_of(thread);
        goes_on = waiter != NULL && waiter->level != posix_scheduling_level(thread);
        if (goes_on) {
            take_out(waiter);
            insert(waiter);
            thread = waiter->owner;
        }
    }
}

/* Whether the caller would wait for itself. */
static bool is_ring(const struct posix_thread *owner, const struct posix_thread *self)
{
    while (owner != self) {
        const struct pi_waiter *waiter = waiter_of(owner);
        if (waiter == NULL) {
            return false;
        }
        owner = waiter->owner;
    }
    return true;
}

/* ---- locking */

static bool take_owner(struct posix_thread *thread, void *context)
{
    *(struct posix_thread **)context = thread;
    return !thread->has_handed_over;
}

/* The thread that the word names, if it can hand the mutex over one day. */
static struct posix_thread *owner_of(uint32_t value)
{
    struct posix_thread *owner = NULL;
    bool is_there = posix_thread_visit((int32_t)(value & POSIX_FUTEX_TID_MASK), take_owner, &owner);
    return is_there ? owner : NULL;
}

/* Whether the word says what the list says; an owner's end is told by the word first. */
static bool fits(uint32_t value, const struct pi_waiter *waiter)
{
    uint32_t id = value & POSIX_FUTEX_TID_MASK;
    bool is_dying = id == 0 && (value & POSIX_FUTEX_OWNER_DIED) != 0;
    return (value & POSIX_FUTEX_WAITERS) != 0 && (is_dying || id == (uint32_t)waiter->owner->id);
}

/* One look at the word. 0: the mutex is ours; WAITS: *owner is to be waited for; -EAGAIN: the word
 * has changed; or an error. */
static int64_t look(uint64_t address, uint32_t value, struct posix_thread *self,
                    struct posix_thread **owner)
{
    const struct pi_waiter *waiter = first_at(address);
    uint32_t id = value & POSIX_FUTEX_TID_MASK;
    uint32_t desired = value | POSIX_FUTEX_WAITERS;
    if (id == (uint32_t)self->id) {
        return -EDEADLK;
    }
    if (waiter != NULL) {
        *owner = waiter->owner;
        return !fits(value, waiter) ? -EINVAL : is_ring(*owner, self) ? -EDEADLK : WAITS;
    }
    if (id != 0) {
        *owner = owner_of(value);
        if (*owner == NULL || is_ring(*owner, self)) {
            return *owner == NULL ? -ESRCH : -EDEADLK;
        }
    } else {
        desired = (value & POSIX_FUTEX_OWNER_DIED) | (uint32_t)self->id;
    }
    uint32_t seen;
    int64_t result = posix_exchange_u32(address, value, desired, &seen);
    return result != 0 ? result : seen != value ? -EAGAIN : id != 0 ? WAITS : 0;
}

/* Locked. @impl ATL-LLR-FUTEX-0020~1 */
static int64_t acquire(uint64_t address, struct posix_thread *self, struct posix_thread **owner)
{
    int64_t result;
    do {
        uint32_t value;
        result = posix_load_u32(address, &value);
        result = result != 0 ? result : look(address, value, self, owner);
    } while (result == -EAGAIN);
    return result;
}

/* The word is made present and writable by a change that is none. */
static int64_t touch(uint64_t address)
{
    uint32_t ignored;
    return posix_exchange_u32(address, 0, 0, &ignored);
}

static int64_t give_up(struct posix_thread *self, struct pi_waiter *waiter, int64_t result)
{
    enter(self);
    if (atomic_load(&waiter->woken) != 0) {
        result = 0;
    } else {
        take_out(waiter);
        update(waiter->owner);
    }
    leave(self);
    return result == -EINTR ? -ERESTARTNOINTR : result;
}

int64_t pi_futex_lock(uint64_t address, uint64_t deadline_ns)
{
    struct posix_thread *self = posix_self();
    struct pi_waiter waiter = {.thread = self, .address = address};
    int64_t result = touch(address);
    if (result != 0) {
        return result;
    }
    waiter.handle = posix_thread_handle(self);
    enter(self);
    result = acquire(address, self, &waiter.owner);
    if (result == WAITS) {
        insert(&waiter);
        update(self); /* our policy may have changed since insert looked */
        update(waiter.owner);
    }
    leave(self);
    if (result == WAITS) {
        result = posix_park(&waiter.woken, deadline_ns);
        return result == 0 ? 0 : give_up(self, &waiter, result);
    }
    return result;
}

int64_t pi_futex_try_lock(uint64_t address)
{
    struct posix_thread *self = posix_self();
    struct posix_thread *owner;
    int64_t result = touch(address);
    if (result != 0) {
        return result;
    }
    enter(self);
    result = acquire(address, self, &owner);
    leave(self);
    return result == WAITS ? -EAGAIN : result;
}

/* ---- unlocking */

/* Locked. Makes the first that waits the owner; flags: what else the word shall say. -EFAULT */
static int64_t hand_over(struct pi_waiter *next, uint32_t flags)
{
    struct posix_thread *before = next->owner;
    struct posix_thread *owner = next->thread;
    uint64_t address = next->address;
    take_out(next);
    bool has_more = first_at(address) != NULL;
    uint32_t desired = (uint32_t)owner->id | flags | (has_more ? POSIX_FUTEX_WAITERS : 0);
    uint32_t seen;
    int64_t result = posix_load_u32(address, &seen);
    for (uint32_t value = ~seen; result == 0 && value != seen;) {
        value = seen;
        result = posix_exchange_u32(address, value, desired, &seen);
    }
    if (result != 0 && flags == 0) {
        insert(next);
        return result;
    }
    for (struct pi_waiter *waiter = first_waiter; waiter != NULL; waiter = waiter->next) {
        waiter->owner = waiter->address == address ? owner : waiter->owner;
    }
    update(before);
    update(owner);
    uint64_t handle = next->handle;
    atomic_store_explicit(&next->woken, 1, memory_order_release);
    gate_unpark(handle, 0);
    return 0;
}

/* Locked. */
static int64_t release(uint64_t address, const struct posix_thread *self)
{
    for (;;) {
        uint32_t value;
        uint32_t seen;
        int64_t result = posix_load_u32(address, &value);
        if (result != 0) {
            return result;
        }
        if ((value & POSIX_FUTEX_TID_MASK) != (uint32_t)self->id) {
            return -EPERM;
        }
        struct pi_waiter *next = first_at(address);
        if (next != NULL) {
            return next->owner == self ? hand_over(next, 0) : -EINVAL;
        }
        result = posix_exchange_u32(address, value, 0, &seen);
        if (result != 0 || seen == value) {
            return result;
        }
    }
}

/* @impl ATL-LLR-FUTEX-0022~1 */
int64_t pi_futex_unlock(uint64_t address)
{
    struct posix_thread *self = posix_self();
    int64_t result = touch(address);
    if (result == 0) {
        enter(self);
        result = release(address, self);
        leave(self);
    }
    return result;
}

/* @impl ATL-LLR-FUTEX-0023~1 */
void pi_futex_end(struct posix_thread *self)
{
    bool has_waiters = first_waiter != NULL;
    if (has_waiters) {
        enter(self);
    } else {
        posix_lock_acquire(&lock);
    }
    self->has_handed_over = true; /* from now on nobody waits for us */
    for (struct pi_waiter *next = first_for(self); next != NULL; next = first_for(self)) {
        (void)hand_over(next, POSIX_FUTEX_OWNER_DIED);
    }
    if (has_waiters) {
        leave(self);
    } else {
        posix_lock_release(&lock);
    }
}

void pi_futex_policy_changed(int32_t id)
{
    if (first_waiter != NULL) {
        struct posix_thread *self = posix_self();
        struct posix_thread *thread;
        enter(self);
        if (posix_thread_visit(id, take_owner, &thread)) { /* which does not end meanwhile */
            update(thread);
        }
        leave(self);
    }
}
