/* SPDX-License-Identifier: Apache-2.0 */
/* What event/ needs beside file/: one thread, which never waits, and no signals. */
#include <core/internal.h>
#include <posix/deadline.h>
#include <posix/time.h>
#include <stdlib.h>

uint64_t posix_thread_handle(struct posix_thread *self)
{
    (void)self;
    return 1;
}

int64_t posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns)
{
    (void)deadline_ns;
    return *woken != 0 ? 0 : -ETIMEDOUT;
}

bool posix_signal_take(struct posix_thread *self, uint64_t set, struct posix_signal_info *info)
{
    (void)self, (void)set, (void)info;
    return false;
}

uint64_t posix_signal_pending_set(const struct posix_thread *self)
{
    (void)self;
    return 0;
}

void posix_signal_set_blocked(struct posix_thread *self, uint64_t blocked)
{
    self->blocked = blocked;
}

void posix_signal_observe(posix_signal_observer observe)
{
    (void)observe;
}

struct posix_deadline *shim_deadline; /* the youngest */

int64_t posix_deadline_initialize(struct posix_deadline *deadline, posix_deadline_expire expire)
{
    shim_deadline = deadline;
    *deadline = (struct posix_deadline){.expire = expire};
    return 0;
}

void posix_deadline_set(struct posix_deadline *deadline, uint64_t at_ns)
{
    deadline->at_ns = at_ns;
}

void posix_deadline_cancel(struct posix_deadline *deadline)
{
    deadline->at_ns = GATE_NEVER;
}

uint64_t posix_deadline_after(uint64_t ns)
{
    return posix_now_ns() + ns;
}

uint64_t posix_deadline_of_realtime(uint64_t ns)
{
    return ns;
}

int64_t posix_exchange_u32(uint64_t at, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    uint8_t byte;
    (void)expected, (void)desired;
    *seen = 1;
    return posix_copy_in(&byte, at, 1);
}
