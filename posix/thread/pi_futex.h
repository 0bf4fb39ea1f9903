/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes with priority inheritance, as PTHREAD_PRIO_INHERIT needs them: while threads wait for a
 * mutex its owner runs at least at the level of the highest of them, and so on along the chain of
 * owners. The word is Linux's: the owner's id, FUTEX_WAITERS, FUTEX_OWNER_DIED.
 *
 * Error policy: Linux errno, negated; on any the mutex is as before. */
#ifndef POSIX_THREAD_PI_FUTEX_H
#define POSIX_THREAD_PI_FUTEX_H

#include <posix/thread.h>

/* Locks the mutex for the calling thread, waiting until the deadline (GATE_NEVER: none).
 *
 * @address    4-aligned, in the application's half
 * Errors:     -EDEADLK it or a chain of owners is the caller's | -ETIMEDOUT | -ESRCH no such owner
 * | -EINVAL the word does not fit those who wait | -EFAULT | -ERESTARTNOINTR a signal */
int64_t pi_futex_lock(uint64_t address, uint64_t deadline_ns);
/* The same without waiting: -EAGAIN. */
int64_t pi_futex_try_lock(uint64_t address);
/* Hands the mutex to the highest waiter.
 *
 * Errors:     -EPERM it is another's | -EINVAL | -EFAULT */
int64_t pi_futex_unlock(uint64_t address);
/* Hands over what the calling thread, which ends, still owns and others wait for. */
void pi_futex_end(struct posix_thread *self);
/* After the policy of a thread changed: it, and who it waits for, run at the level that follows. */
void pi_futex_policy_changed(int32_t id);

#endif
