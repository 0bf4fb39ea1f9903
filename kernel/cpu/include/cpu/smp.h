/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the other cores. */
#ifndef CPU_SMP_H
#define CPU_SMP_H

/* Copies the start code to shared_facts.low_page. Context: boot core, boot tables, once. */
void cpu_smp_prepare(void);

/* Starts cores 1 .. core_count - 1; each runs kernel_core_main on its own root and gate stack.
 * Returns when all have run cpu_core_initialize. A core that does not come within
 * CPU_SMP_START_NS_MAX after the one before it ends the machine with a report that names it.
 * Context: core 0 on its own root, before seal, once. */
void cpu_smp_start(void);

/* Generous: on a loaded host the other virtual CPUs may not get to run for long. */
#define CPU_SMP_START_NS_MAX 10000000000ull

#endif
