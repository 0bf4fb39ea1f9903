/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of epoll. */
#include "epoll.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define CTL_ADD 1
#define CTL_DELETE 2
#define CTL_MODIFY 3
#define NS_PER_MS 1000000ull

static uint32_t epoll_poll(struct posix_file *file)
{
    return epoll_has_ready(file->context) ? POSIX_POLL_READABLE : 0;
}

static void epoll_release(struct posix_file *file)
{
    epoll_close(file->context);
}

const struct posix_file_operations epoll_operations = {
    .stat = event_stat_anonymous,
    .poll = epoll_poll,
    .release = epoll_release,
    .ignores_seeking = true,
};

int64_t posix_epoll_create1(uint64_t wanted)
{
    uint32_t flags = (uint32_t)wanted;
    if ((flags & ~POSIX_O_CLOEXEC) != 0) {
        return -EINVAL;
    }
    struct epoll *epoll = posix_allocate(sizeof(*epoll));
    if (epoll == NULL) {
        return -ENOMEM;
    }
    epoll->references = 1;
    epoll->buckets = epoll->first_buckets;
    epoll->bucket_count = EPOLL_BUCKETS_START;
    struct posix_file *file = posix_file_create(&epoll_operations, POSIX_O_RDWR, epoll);
    if (file == NULL) {
        posix_free(epoll);
        return -ENOMEM;
    }
    epoll->file = file;
    int64_t result = posix_descriptor_install(file, (flags & POSIX_O_CLOEXEC) != 0, 0);
    if (result < 0) {
        posix_file_put(file);
    }
    return result;
}

int64_t posix_epoll_create(uint64_t size)
{
    return (int32_t)size > 0 ? posix_epoll_create1(0) : -EINVAL;
}

static int64_t control(struct posix_file *file, struct posix_file *target, uint32_t descriptor,
                       int32_t operation, const struct linux_epoll_event *event)
{
    if (target->operations->poll == NULL) {
        return -EPERM;
    }
    if (file == target || !epoll_is_instance(file)) {
        return -EINVAL;
    }
    switch (operation) {
    case CTL_ADD:
        return epoll_add(file->context, target, descriptor, event);
    case CTL_MODIFY:
        return epoll_modify(file->context, target, descriptor, event);
    case CTL_DELETE:
        return epoll_delete(file->context, target, descriptor);
    default:
        return -EINVAL;
    }
}

/* @impl ATL-LLR-EVENT-0020~1 */
int64_t posix_epoll_ctl(uint64_t descriptor, uint64_t operation, uint64_t target_descriptor,
                        uint64_t from)
{
    struct linux_epoll_event event = {0, 0};
    if ((int32_t)operation != CTL_DELETE && posix_copy_in(&event, from, sizeof(event)) != 0) {
        return -EFAULT;
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = -EBADF;
    struct posix_file *target = posix_file_get(target_descriptor);
    if (target != NULL) {
        result = control(file, target, (uint32_t)target_descriptor, (int32_t)operation, &event);
        posix_file_put(target);
    }
    posix_file_put(file);
    return result;
}

static int64_t wait(uint64_t descriptor, uint64_t to, uint64_t count, uint64_t deadline_ns)
{
    int32_t count_max = (int32_t)count;
    if (count_max <= 0 || count_max > (int32_t)(INT32_MAX / sizeof(struct linux_epoll_event))) {
        return -EINVAL;
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = -EINVAL;
    if (epoll_is_instance(file)) {
        result = epoll_wait_events(file->context, to, (uint32_t)count_max, deadline_ns);
    }
    posix_file_put(file);
    return result;
}

static uint64_t deadline_of_ms(uint64_t timeout)
{
    int32_t ms = (int32_t)timeout;
    if (ms <= 0) {
        return ms < 0 ? GATE_NEVER : 0;
    }
    return posix_deadline_after((uint64_t)ms * NS_PER_MS);
}

int64_t posix_epoll_wait(uint64_t descriptor, uint64_t to, uint64_t count, uint64_t timeout)
{
    return wait(descriptor, to, count, deadline_of_ms(timeout));
}

static int64_t wait_masked(uint64_t descriptor, const struct posix_vector *buffer,
                           uint64_t deadline_ns, const struct posix_vector *set)
{
    struct event_mask mask;
    int64_t result = event_mask_set(&mask, set->address, set->bytes);
    if (result == 0) {
        result = wait(descriptor, buffer->address, buffer->bytes, deadline_ns);
        event_mask_restore(&mask, result == -EINTR);
    }
    return result;
}

/* @impl ATL-LLR-EVENT-0012~1 */
int64_t posix_epoll_pwait(uint64_t descriptor, uint64_t to, uint64_t count, uint64_t timeout,
                          uint64_t set, uint64_t set_bytes)
{
    return wait_masked(descriptor, &(struct posix_vector){to, count}, deadline_of_ms(timeout),
                       &(struct posix_vector){set, set_bytes});
}

int64_t posix_epoll_pwait2(uint64_t descriptor, uint64_t to, uint64_t count, uint64_t timeout,
                           uint64_t set, uint64_t set_bytes)
{
    struct event_timeout limit;
    int64_t result = event_timeout_load(&limit, timeout, EVENT_TIMESPEC);
    if (result != 0) {
        return result;
    }
    return wait_masked(descriptor, &(struct posix_vector){to, count}, limit.deadline_ns,
                       &(struct posix_vector){set, set_bytes});
}
