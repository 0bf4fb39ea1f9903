/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the other cores. */
#ifndef CPU_SMP_H
#define CPU_SMP_H

#include <stdint.h>

/* Starts cores 1 .. core_count - 1; each runs kernel_core_main on its own root and gate stack.
 * Returns core_count when all have run cpu_core_initialize, or else the first core that did not
 * within CPU_SMP_START_NS_MAX after the one before it. The code that they run in real mode lies in
 * shared_facts.low_page.
 * Context: core 0 on its own root, before seal, once. */
uint32_t cpu_smp_start(void);

/* Generous: on a loaded host the other virtual CPUs may not get to run for long. */
#define CPU_SMP_START_NS_MAX 10000000000ull

#endif
