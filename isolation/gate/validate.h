/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that a call's arguments must meet, as pure functions of the cell and the numbers; each
 * argument passes here once. Also compiled hosted: unit tests and the fuzz target. Context: any. */
#ifndef ISOLATION_GATE_VALIDATE_H
#define ISOLATION_GATE_VALIDATE_H

#include <gate/gate.h>

/* address and bytes are page multiples, bytes > 0, the range lies in one shared slot of the cell
 * and above the floor. Else RESULT_INVALID. */
enum result gate_validate_range(const struct cell *cell, uint64_t address, uint64_t bytes);
/* Only known bits; W+X only where the manifest allows it (RESULT_ACCESS). */
enum result gate_validate_protection(const struct cell *cell, uint64_t protection);
/* A map's protection, flags and offset: an offset goes with an image, a page multiple; an image is
 * not populated. */
enum result gate_validate_map(const struct cell *cell, uint64_t protection, uint64_t flags,
                              uint64_t offset);
/* entry inside posix's text, stack canonical user half and 16-aligned, priority in range. */
enum result gate_validate_thread_start(const struct cell *cell, uint64_t entry, uint64_t stack,
                                       uint64_t priority);

#endif
