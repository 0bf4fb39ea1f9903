/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd: a counter behind a descriptor. */
#include "event.h"

#include <posix/syscalls.h>

#define EFD_SEMAPHORE 1u
#define COUNT_MAX (UINT64_MAX - 1)

struct counter {
    struct posix_lock lock;
    struct posix_wait_queue readers, writers;
    uint64_t count;
    bool is_semaphore;
};

/* @impl ATL-LLR-EVENT-0006~1 */
static int64_t eventfd_read(struct posix_file *file, struct posix_transfer *to)
{
    struct counter *counter = file->context;
    if (to->remaining < sizeof(uint64_t)) {
        return -EINVAL;
    }
    posix_lock_acquire(&counter->lock);
    while (counter->count == 0) {
        if (event_is_nonblocking(file)) {
            posix_lock_release(&counter->lock);
            return -EAGAIN;
        }
        if (posix_wait(&counter->readers, &counter->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&counter->lock);
    }
    uint64_t value = counter->is_semaphore ? 1 : counter->count;
    counter->count -= value;
    posix_wake(&counter->writers, UINT32_MAX);
    if (counter->count != 0) {
        posix_wake(&counter->readers, 1); /* it was woken for us, and there is more */
    }
    posix_file_notify(file, POSIX_POLL_OUT);
    posix_lock_release(&counter->lock);
    int64_t result = posix_transfer_out(to, &value, sizeof(value));
    return result == sizeof(value) ? result : -EFAULT;
}

/* @impl ATL-LLR-EVENT-0006~1 */
static int64_t eventfd_write(struct posix_file *file, struct posix_transfer *from)
{
    struct counter *counter = file->context;
    uint64_t value;
    if (from->remaining < sizeof(value)) {
        return -EINVAL;
    }
    if (posix_transfer_in(from, &value, sizeof(value)) != sizeof(value)) {
        return -EFAULT;
    }
    if (value == UINT64_MAX) {
        return -EINVAL;
    }
    posix_lock_acquire(&counter->lock);
    while (value > COUNT_MAX - counter->count) {
        if (event_is_nonblocking(file)) {
            posix_lock_release(&counter->lock);
            return -EAGAIN;
        }
        if (posix_wait(&counter->writers, &counter->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&counter->lock);
    }
    counter->count += value;
    uint64_t handle = counter->count != 0 ? posix_wake_first(&counter->readers) : 0;
    posix_file_notify(file, POSIX_POLL_IN);
    posix_release_and_unpark(&counter->lock, handle);
    return sizeof(value);
}

static uint32_t eventfd_poll(struct posix_file *file)
{
    struct counter *counter = file->context;
    posix_lock_acquire(&counter->lock);
    uint32_t ready = counter->count != 0 ? POSIX_POLL_IN : 0;
    ready |= counter->count < COUNT_MAX ? POSIX_POLL_OUT : 0;
    posix_lock_release(&counter->lock);
    return ready;
}

static void eventfd_release(struct posix_file *file)
{
    posix_free(file->context);
}

static const struct posix_file_operations eventfd_operations = {
    .read = eventfd_read,
    .write = eventfd_write,
    .stat = event_stat_anonymous,
    .poll = eventfd_poll,
    .release = eventfd_release,
    .ignores_seeking = true,
};

/* @impl ATL-LLR-EVENT-0006~1 */
int64_t posix_eventfd2(uint64_t start, uint64_t wanted)
{
    uint32_t flags = (uint32_t)wanted;
    if ((flags & ~(EFD_SEMAPHORE | POSIX_O_NONBLOCK | POSIX_O_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    struct counter *counter = posix_allocate(sizeof(*counter));
    if (counter == NULL) {
        return -ENOMEM;
    }
    counter->count = (uint32_t)start;
    counter->is_semaphore = (flags & EFD_SEMAPHORE) != 0;
    int64_t result =
        event_install(&eventfd_operations, (flags & ~EFD_SEMAPHORE) | POSIX_O_RDWR, counter);
    if (result < 0) {
        posix_free(counter);
    }
    return result;
}

int64_t posix_eventfd(uint64_t start)
{
    return posix_eventfd2(start, 0);
}
