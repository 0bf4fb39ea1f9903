/* SPDX-License-Identifier: Apache-2.0 */
/* poll and ppoll. */
#include "event.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define NS_PER_MS 1000000ull

struct linux_pollfd {
    int32_t descriptor;
    int16_t events, result;
};
_Static_assert(sizeof(struct linux_pollfd) == 8, "struct pollfd");

static int64_t load_entries(struct event_entry *entries, uint64_t from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct linux_pollfd wanted;
        if (posix_copy_in(&wanted, from + i * sizeof(wanted), sizeof(wanted)) != 0) {
            event_put_all(entries, i);
            return -EFAULT;
        }
        entries[i] = (struct event_entry){0};
        if (wanted.descriptor >= 0) {
            entries[i].file = posix_file_get((uint32_t)wanted.descriptor);
            entries[i].wanted = (uint16_t)wanted.events | POSIX_POLL_ERR | POSIX_POLL_HUP;
            entries[i].ready = entries[i].file == NULL ? POSIX_POLL_NVAL : 0;
        }
    }
    return 0;
}

static int64_t store_results(const struct event_entry *entries, uint64_t to, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        int16_t result = (int16_t)entries[i].ready;
        uint64_t at = to + i * sizeof(struct linux_pollfd) + offsetof(struct linux_pollfd, result);
        if (posix_copy_out(at, &result, sizeof(result)) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

/* @impl ATL-LLR-EVENT-0008~1 */
static int64_t poll_until(uint64_t array, uint64_t count, uint64_t deadline_ns)
{
    struct event_entry inline_entries[EVENT_ENTRIES_INLINE];
    struct event_entry *allocated = NULL;
    if (count > posix_descriptor_limit()) {
        return -EINVAL;
    }
    if (count > EVENT_ENTRIES_INLINE) {
        allocated = posix_allocate(count * sizeof(*allocated));
        if (allocated == NULL) {
            return -ENOMEM;
        }
    }
    struct event_entry *entries = allocated != NULL ? allocated : inline_entries;
    int64_t result = load_entries(entries, array, count);
    if (result == 0) {
        result = event_wait_many(entries, count, deadline_ns);
        if (store_results(entries, array, count) != 0) {
            result = -EFAULT;
        }
    }
    posix_free(allocated);
    return result;
}

static int64_t poll_again(struct posix_thread *self);

static int64_t poll_restartable(uint64_t array, uint64_t count, uint64_t deadline_ns)
{
    int64_t result = poll_until(array, count, deadline_ns);
    if (result != -EINTR) {
        return result;
    }
    struct posix_thread *self = posix_self();
    self->restart = poll_again;
    self->restart_argument[0] = array;
    self->restart_argument[1] = count;
    self->restart_argument[2] = deadline_ns;
    return -ERESTART_RESTARTBLOCK;
}

static int64_t poll_again(struct posix_thread *self)
{
    return poll_restartable(self->restart_argument[0], self->restart_argument[1],
                            self->restart_argument[2]);
}

int64_t posix_poll(uint64_t array, uint64_t count, uint64_t timeout)
{
    int32_t ms = (int32_t)timeout;
    uint64_t deadline_ns = ms < 0    ? GATE_NEVER
                           : ms == 0 ? 0
                                     : posix_deadline_after((uint64_t)ms * NS_PER_MS);
    return poll_restartable(array, (uint32_t)count, deadline_ns);
}

/* @impl ATL-LLR-EVENT-0008~1 @impl ATL-LLR-EVENT-0012~1 */
int64_t posix_ppoll(uint64_t array, uint64_t count, uint64_t timeout, uint64_t set,
                    uint64_t set_bytes)
{
    struct event_timeout limit;
    int64_t result = event_timeout_load(&limit, timeout, EVENT_TIMESPEC);
    struct event_mask mask;
    if (result == 0) {
        result = event_mask_set(&mask, set, set_bytes);
    }
    if (result != 0) {
        return result;
    }
    result = poll_until(array, (uint32_t)count, limit.deadline_ns);
    event_mask_restore(&mask, result == -EINTR);
    return event_timeout_finish(&limit, result);
}
