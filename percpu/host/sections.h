/* SPDX-License-Identifier: Apache-2.0 */
/* For percpu/base.h in hosted tests: a core is a host thread, or one thread plays several cores by
 * exchanging the section. */
#ifndef PERCPU_HOST_SECTIONS_H
#define PERCPU_HOST_SECTIONS_H

#ifdef ATOLL_PERCORE_SECTION
#define PERCORE __attribute__((section("percore")))
#else
#define PERCORE _Thread_local
#endif
#define SHARED

#ifdef __SANITIZE_THREAD__
#include <stdatomic.h>
#include <stdint.h>
/* The sanitizer does not know fences; a locked instruction is one on this machine. */
static inline void host_fence(void)
{
    static PERCORE _Atomic uint32_t dummy;
    atomic_fetch_add_explicit(&dummy, 1, memory_order_seq_cst);
}
#undef atomic_thread_fence
#define atomic_thread_fence(order) host_fence()
#endif

#endif
