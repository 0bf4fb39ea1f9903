/* SPDX-License-Identifier: Apache-2.0 */
/* close, dup, dup2, dup3, fcntl, ioctl. */
#include "descriptor.h"
#include "node.h"
#include "record_lock.h"
#include <posix/syscalls.h>

#define SETTABLE_FLAGS                                                                             \
    (POSIX_O_APPEND | POSIX_O_NONBLOCK | POSIX_O_ASYNC | POSIX_O_DIRECT | POSIX_O_NOATIME)

int64_t posix_close(uint64_t descriptor)
{
    return descriptor_close(descriptor);
}

/* The table is this process's alone: CLOSE_RANGE_UNSHARE changes nothing. */
/* @impl ATL-LLR-FILE-0012~1 */
int64_t posix_close_range(uint64_t first, uint64_t last, uint64_t flags)
{
    uint64_t end = (uint32_t)last;
    if (((uint32_t)flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 ||
        (uint32_t)first > end) {
        return -EINVAL;
    }
    int64_t next = descriptor_next((uint32_t)first);
    while (next >= 0 && (uint64_t)next <= end) {
        if ((flags & CLOSE_RANGE_CLOEXEC) != 0) {
            (void)descriptor_set_flags((uint64_t)next, true);
        } else {
            (void)descriptor_close((uint64_t)next);
        }
        next = descriptor_next((uint64_t)next + 1);
    }
    return 0;
}

static int64_t duplicate(uint64_t descriptor, bool close_on_exec, uint64_t minimum)
{
    struct posix_file *file = descriptor_get_any(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = posix_descriptor_install(file, close_on_exec, minimum);
    if (result < 0) {
        posix_file_put(file);
    }
    return result;
}

int64_t posix_dup(uint64_t descriptor)
{
    return duplicate(descriptor, false, 0);
}

static int64_t duplicate_to(uint64_t old, uint64_t new, bool close_on_exec)
{
    struct posix_file *file = descriptor_get_any(old);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = descriptor_install_at(file, close_on_exec, new);
    if (result < 0) {
        posix_file_put(file);
        return result;
    }
    return (int64_t) new;
}

/* @impl ATL-LLR-FILE-0012~1 */
int64_t posix_dup2(uint64_t old, uint64_t new)
{
    if ((uint32_t)old == (uint32_t) new) {
        int64_t flags = descriptor_flags(old);
        return flags < 0 ? flags : (int64_t)(uint32_t) new;
    }
    return duplicate_to(old, (uint32_t) new, false);
}

int64_t posix_dup3(uint64_t old, uint64_t new, uint64_t flags)
{
    if ((uint32_t)old == (uint32_t) new || ((uint32_t)flags & ~POSIX_O_CLOEXEC) != 0) {
        return -EINVAL;
    }
    return duplicate_to(old, (uint32_t) new, ((uint32_t)flags & POSIX_O_CLOEXEC) != 0);
}

static void set_status_flags(struct posix_file *file, uint32_t mask, uint32_t flags)
{
    posix_lock_acquire(&file->lock);
    file->flags = (file->flags & ~mask) | (flags & mask);
    posix_lock_release(&file->lock);
    if (file->operations->flags_changed != NULL) {
        file->operations->flags_changed(file);
    }
}

static int64_t status_command(struct posix_file *file, uint64_t command, uint64_t argument)
{
    switch (command) {
    case F_GETFL:
        return file->flags;
    case F_SETFL:
        set_status_flags(file, SETTABLE_FLAGS, (uint32_t)argument);
        return 0;
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return record_lock(file, command, argument);
    case F_SETOWN:
    case F_SETSIG:
        return 0; /* O_ASYNC sends nothing */
    case F_GETOWN:
    case F_GETSIG:
        return 0;
    default:
        break;
    }
    if (file->operations->control != NULL) {
        return file->operations->control(file, (uint32_t)command, argument);
    }
    return command == F_GETPIPE_SZ || command == F_SETPIPE_SZ ? -EBADF : -EINVAL;
}

/* @impl ATL-LLR-FILE-0012~1 */
int64_t posix_fcntl(uint64_t descriptor, uint64_t command, uint64_t argument)
{
    uint32_t number = (uint32_t)command;
    switch (number) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        if (descriptor_flags(descriptor) < 0) {
            return -EBADF;
        }
        if (argument >= posix_descriptor_limit()) {
            return -EINVAL;
        }
        return duplicate(descriptor, number == F_DUPFD_CLOEXEC, argument);
    case F_GETFD:
        return descriptor_flags(descriptor);
    case F_SETFD:
        return descriptor_set_flags(descriptor, (argument & FD_CLOEXEC) != 0);
    default:
        break;
    }
    struct posix_file *file = descriptor_get_any(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    bool is_path = (file->flags & POSIX_O_PATH) != 0;
    int64_t result = -EBADF;
    if (!is_path || number == F_GETFL) {
        result = status_command(file, number, argument);
    }
    if ((number == F_SETLK || number == F_SETLKW) && file->node != NULL &&
        !descriptor_is(descriptor, file)) {
        record_lock_closed(file->node); /* closed meanwhile: no range outlives that */
    }
    posix_file_put(file);
    return result;
}

static int64_t set_flag(struct posix_file *file, uint32_t flag, uint64_t argument)
{
    int32_t on;
    if (posix_copy_in(&on, argument, sizeof(on)) < 0) {
        return -EFAULT;
    }
    set_status_flags(file, flag, on != 0 ? flag : 0);
    return 0;
}

/* @impl ATL-LLR-FILE-0013~2 */
int64_t posix_ioctl(uint64_t descriptor, uint64_t request, uint64_t argument)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result;
    switch ((uint32_t)request) {
    case FIOCLEX:
    case FIONCLEX:
        result = descriptor_set_flags(descriptor, (uint32_t)request == FIOCLEX);
        break;
    case FIONBIO:
        result = set_flag(file, POSIX_O_NONBLOCK, argument);
        break;
    case FIOASYNC:
        result = set_flag(file, POSIX_O_ASYNC, argument);
        break;
    default:
        result = file->operations->ioctl != NULL
                     ? file->operations->ioctl(file, (uint32_t)request, argument)
                     : -ENOTTY;
        break;
    }
    posix_file_put(file);
    return result;
}
