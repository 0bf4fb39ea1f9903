/* SPDX-License-Identifier: Apache-2.0 */
/* The signal mask that ppoll, pselect6 and epoll_pwait set for the time of the call. */
#include "event.h"

#define SET_BYTES 8u

/* @impl ATL-LLR-EVENT-0012~1 */
int64_t event_mask_set(struct event_mask *mask, uint64_t from, uint64_t bytes)
{
    *mask = (struct event_mask){0};
    if (from == 0) {
        return 0;
    }
    uint64_t set;
    if (bytes != SET_BYTES) {
        return -EINVAL;
    }
    if (posix_copy_in(&set, from, sizeof(set)) != 0) {
        return -EFAULT;
    }
    struct posix_thread *self = posix_self();
    mask->is_set = true;
    mask->saved = atomic_load(&self->blocked);
    posix_signal_set_blocked(self, set);
    return 0;
}

void event_mask_restore(const struct event_mask *mask, bool is_interrupted)
{
    struct posix_thread *self = posix_self();
    if (!mask->is_set) {
        return;
    }
    if (is_interrupted) {
        self->suspended_mask = mask->saved;
        self->has_suspended_mask = true;
    } else {
        posix_signal_set_blocked(self, mask->saved);
    }
}
