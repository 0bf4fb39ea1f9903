/* SPDX-License-Identifier: Apache-2.0 */
/* The crash record, and who writes one. */
#ifndef DEBUG_RECORD_H
#define DEBUG_RECORD_H

#include "internal.h"

#include <stdnoreturn.h>

/* The page behind the parts, for restart.c. */
#define DEBUG_RESTART_PHYSICAL 0x98000ull
/* CRC-32C of what the next boot reads. */
uint32_t debug_record_checksum(const void *from, size_t count);

/* This core's part, with what it did last. Any core, any state in which it has its own tables. */
void debug_record_write(const struct debug_fault *fault, const char *text);
/* Core 0, at start: tells what the boot before has left, and forgets it. */
void debug_record_tell(void);

/* watchdog.c: starts it if the image asks for it. Core 0, as the first thread starts. */
void debug_watchdog_start(void);
/* A pass of this core's scheduler. */
void debug_watchdog_pass(void);
/* An NMI. True: this core has made no pass for too long, and ends the machine when it is left. */
struct kernel_trap;
bool debug_watchdog_look(struct kernel_trap *trap);
/* This core is about to end, and may take its time. */
void debug_watchdog_end(void);

/* panic.c: core 0, the cell has been ended by a signal. */
void debug_record_signal(uint32_t signal);
noreturn void __wrap_report_kernel_trap(const struct kernel_trap *trap, uint64_t address);

#endif
