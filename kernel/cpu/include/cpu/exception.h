/* SPDX-License-Identifier: Apache-2.0 */
/* Faults that the kernel expects: the few instructions that touch memory which may not be there. */
#ifndef CPU_EXCEPTION_H
#define CPU_EXCEPTION_H

#include <percpu/base.h>

/* Where an instruction of cpu_user_copy that faulted goes on; 0: it is not one that may fault.
 * @rip its address. Context: any, also on an interrupt stack */
uint64_t cpu_exception_fixup(uint64_t rip);

/* Copies between the kernel and the user half, in either direction, or inside the kernel.
 *
 * @bytes   any; the ranges must not overlap
 * Context: any core on its own tables; interrupts off
 * Returns the bytes NOT copied: 0 on success, else exact: the byte at that distance from the end is
 * the first that is not accessible. */
uint64_t cpu_user_copy(void *to, const void *from, uint64_t bytes);

#endif
