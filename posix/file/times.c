/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that set a file's times: utimensat and its elders. */
#include "descriptor.h"
#include "status.h"
#include <posix/syscalls.h>

static bool time_is_valid(const struct linux_timespec *time)
{
    return time->ns == UTIME_NOW || time->ns == UTIME_OMIT ||
           (time->ns >= 0 && time->ns < 1000000000);
}

static int64_t time_value(const struct linux_timespec *time, int64_t before, int64_t now)
{
    if (time->ns == UTIME_OMIT) {
        return before;
    }
    if (time->ns == UTIME_NOW) {
        return now;
    }
    const int64_t limit = INT64_MAX / 1000000000 - 1; /* what nanoseconds in 64 bits can say */
    int64_t s = time->s > limit ? limit : time->s < -limit ? -limit : time->s;
    return s * 1000000000 + time->ns;
}

static void set_times(struct posix_node *node, const struct linux_timespec times[2])
{
    int64_t now = node_now_ns();
    posix_lock_acquire(&node->lock);
    node->access_ns = time_value(&times[0], node->access_ns, now);
    node->modify_ns = time_value(&times[1], node->modify_ns, now);
    node->change_ns = now;
    posix_lock_release(&node->lock);
}

static int64_t set_times_at(uint64_t directory, uint64_t text, const struct linux_timespec times[2],
                            uint64_t flags)
{
    if (times[0].ns == UTIME_OMIT && times[1].ns == UTIME_OMIT) {
        return 0;
    }
    struct posix_node *node = NULL;
    int64_t result;
    if (text == 0 && (int32_t)directory != AT_FDCWD) {
        result = flags != 0 ? -EINVAL : status_find_open(directory, &node);
    } else if (((uint32_t)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        result = -EINVAL;
    } else {
        result = status_find(directory, text, (uint32_t)flags, &node);
    }
    if (result < 0) {
        return result;
    }
    bool is_valid = time_is_valid(&times[0]) && time_is_valid(&times[1]);
    if (is_valid) {
        set_times(node, times);
    }
    node_put(node);
    return is_valid ? 0 : -EINVAL;
}

/* @impl ATL-LLR-FILE-0026~1 */
int64_t posix_utimensat(uint64_t directory, uint64_t text, uint64_t times_at, uint64_t flags)
{
    struct linux_timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (times_at != 0 && posix_copy_in(times, times_at, sizeof(times)) < 0) {
        return -EFAULT;
    }
    return set_times_at(directory, text, times, flags);
}

/* @impl ATL-LLR-FILE-0026~1 */
int64_t posix_futimesat(uint64_t directory, uint64_t text, uint64_t times_at)
{
    struct linux_timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (times_at != 0) {
        struct linux_timeval given[2];
        if (posix_copy_in(given, times_at, sizeof(given)) < 0) {
            return -EFAULT;
        }
        for (int i = 0; i < 2; i++) {
            if (given[i].us < 0 || given[i].us >= 1000000) {
                return -EINVAL;
            }
            times[i] = (struct linux_timespec){given[i].s, given[i].us * 1000};
        }
    }
    return set_times_at(directory, text, times, 0);
}

int64_t posix_utimes(uint64_t text, uint64_t times_at)
{
    return posix_futimesat((uint64_t)AT_FDCWD, text, times_at);
}

int64_t posix_utime(uint64_t text, uint64_t times_at)
{
    struct linux_timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    if (times_at != 0) {
        int64_t seconds[2];
        if (posix_copy_in(seconds, times_at, sizeof(seconds)) < 0) {
            return -EFAULT;
        }
        times[0] = (struct linux_timespec){seconds[0], 0};
        times[1] = (struct linux_timespec){seconds[1], 0};
    }
    return set_times_at((uint64_t)AT_FDCWD, text, times, 0);
}
