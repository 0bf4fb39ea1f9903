/* SPDX-License-Identifier: Apache-2.0 */
/* The rest of posix/ and the gate for hosted tests of file/: memory from malloc, one thread, copies
 * that can fault, locks that notice when they are held where they must not be. */
#ifndef TESTS_UNIT_POSIX_FILE_SHIM_H
#define TESTS_UNIT_POSIX_FILE_SHIM_H

#include "test_image.h"
#include <posix/posix.h>

/* Copies that touch [shim_fault_start, shim_fault_end) fail; so do addresses below 64 KiB. */
extern uint64_t shim_fault_start, shim_fault_end;
/* The n-th allocation from now on fails (1: the next); 0: none. Counts down. */
extern uint64_t shim_fail_allocation;
extern uint64_t shim_allocations; /* live */
extern uint64_t shim_allocation_calls;
extern char shim_console[1 << 16]; /* what was written, streams 1 and 2 */
extern size_t shim_console_used;
extern uint64_t shim_console_calls;
extern uint64_t shim_console_room; /* bytes that one write takes; UINT64_MAX at start */
extern const char *shim_input;
extern const char *shim_input_while_parked; /* what a park brings */
extern bool shim_input_ended;               /* else a read finds nothing yet */
extern char shim_reports[4096];
extern bool shim_signal_pending;
extern uint64_t shim_signals; /* sent: bit n - 1 is signal n */

/* Makes the image current; file/ is initialised by the caller. flags: IMAGE_FLAG_FRAMED. */
void shim_start(const struct test_image *image, uint32_t flags);
/* Memory that is shared with a neighbour; none at start. */
void shim_neighbour(void *memory, uint64_t bytes);

#endif
