/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes inside posix/. */
#ifndef POSIX_THREAD_FUTEX_H
#define POSIX_THREAD_FUTEX_H

#include <posix/posix.h>

#define POSIX_FUTEX_ANY UINT32_MAX /* bitset: every waiter */
#define POSIX_FUTEX_WAITERS 0x80000000u
#define POSIX_FUTEX_OWNER_DIED 0x40000000u
#define POSIX_FUTEX_TID_MASK 0x3fffffffu

/* Wakes up to count waiters (at least one) at the address whose bits meet; returns how many. */
int64_t posix_futex_wake(uint64_t address, uint32_t count, uint32_t bits);

/* Marks the mutexes of a robust list whose owner `id` ends. */
void posix_robust_list_end(uint64_t list, uint32_t id);

#endif
