/* SPDX-License-Identifier: Apache-2.0 */
/* A gate on host threads, for hosted tests of posix/: park and unpark on a mutex and a condition,
 * application memory is the test's own memory with page 0 and UNMAPPED as what faults. */
#ifndef TESTS_UNIT_POSIX_SHIM_H
#define TESTS_UNIT_POSIX_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#define UNMAPPED 0x10u /* an address that every copy function refuses */

/* Makes the calling host thread a thread of posix/ with a record of its own; the first is thread 1.
 */
void shim_thread_begin(void);
void shim_thread_end(void);
int32_t shim_thread_id(void);
/* Starts a host thread that is a thread of posix/; returns a token for shim_join. */
void *shim_start(void (*run)(void *), void *argument);
void shim_join(void *token);
int32_t shim_id_of(const void *token);

/* What the calling thread would look at on its way out. */
bool shim_pending(void);
uint64_t shim_blocked(void);
/* Parks of all threads so far, to wait until another one sleeps. */
uint64_t shim_park_count(void);
/* Waits (bounded) until a count of parks is reached. */
void shim_await_parks(uint64_t count);

uint64_t shim_now_ns(void);

#endif
