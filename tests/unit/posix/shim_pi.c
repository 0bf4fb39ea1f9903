/* SPDX-License-Identifier: Apache-2.0 */
/* No mutexes with priority inheritance: what they do shows only with the kernel's priorities
 * (tests/conformance/pi_mutex.c). */
#include <thread/pi_futex.h>

int64_t pi_futex_lock(uint64_t address, uint64_t deadline_ns)
{
    (void)address, (void)deadline_ns;
    return -ENOSYS;
}

int64_t pi_futex_try_lock(uint64_t address)
{
    (void)address;
    return -ENOSYS;
}

int64_t pi_futex_unlock(uint64_t address)
{
    (void)address;
    return -ENOSYS;
}

void pi_futex_end(struct posix_thread *self)
{
    (void)self;
}

void pi_futex_policy_changed(int32_t id)
{
    (void)id;
}
