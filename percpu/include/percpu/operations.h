/* SPDX-License-Identifier: Apache-2.0 */
/* The six operations that percpu needs from what carries it: kernel/cpu in the image, a host shim
 * in tests and fuzz targets. Called by their core only, interrupts off. */
#ifndef PERCPU_OPERATIONS_H
#define PERCPU_OPERATIONS_H

#include <percpu/base.h>

struct thread;

/* Makes the core look at its channels and signals soon (an interrupt; may be merged). */
void percpu_operation_ipi(core_id_t core);
/* Drops this core's translations of [address, address + bytes) of the current cell; 0 bytes: all.
 */
void percpu_operation_invalidate(uint64_t address, uint64_t bytes);
/* Switches what the hardware keeps per thread (extended state, bases, words, cell root) from one
 * thread to another; either may be NULL (idle). Does not transfer control. */
void percpu_operation_switch(struct thread *from, struct thread *to);
/* Kept by the carrier: the timer interrupts this core at this time or earlier, and the interrupt
 * leads to percpu_schedule; THREAD_NEVER: it is not armed. */
extern PERCORE uint64_t percpu_timer_ns;
/* Monotonic nanoseconds since boot, the same on every core. */
uint64_t percpu_operation_now(void);
/* Waits until an interrupt arrives; deadline_ns arms the one-shot timer first. */
void percpu_operation_idle(uint64_t deadline_ns);
/* Stops every core with a report. */
noreturn void percpu_operation_panic(const char *reason);

#endif
