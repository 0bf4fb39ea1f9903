/* SPDX-License-Identifier: Apache-2.0 */
/* Time: the TSC as a monotonic clock, the APIC timer as a one-shot alarm, the date at boot. */
#ifndef CPU_TIME_H
#define CPU_TIME_H

#include <cpu/instructions.h>
#include <kernel/facts.h>
#include <percpu/thread.h>

/* Nanoseconds since boot, the same on every core. After cpu_time_initialize. */
static inline uint64_t cpu_now_ns(void)
{
    uint64_t ticks;
    if (__builtin_sub_overflow(cpu_rdtsc(), shared_facts.info.tsc_base, &ticks)) {
        ticks = 0;
    }
    return (uint64_t)(((unsigned __int128)ticks * shared_facts.info.tsc_multiplier) >> 32);
}

/* One interrupt (VECTOR_TIMER) on this core at deadline_ns or, if it is far away, earlier; at once
 * if it has passed; THREAD_NEVER: none. Replaces what was armed, and is noted in
 * percpu_timer_ns. Context: own core and root, interrupts off. */
void cpu_timer_arm(uint64_t deadline_ns);

/* Core 0, own root, once, before seal: finds frequencies (at most 3 ms) and the date, into
 * shared_facts, where tsc_base is set. Errors: RESULT_IO no clock tells the TSC's frequency */
enum result cpu_time_initialize(void);

#endif
