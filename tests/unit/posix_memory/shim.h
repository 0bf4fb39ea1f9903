/* SPDX-License-Identifier: Apache-2.0 */
/* The gate on the build machine's own mmap, at the addresses that the product uses: memory/ and
 * load/ run as they are. Without the address sanitizer, whose shadow lies in the first slots. */
#ifndef TESTS_UNIT_POSIX_MEMORY_SHIM_H
#define TESTS_UNIT_POSIX_MEMORY_SHIM_H

#include "../posix_file/test_image.h"
#include <posix/posix.h>

extern uint64_t shim_gate_calls;
extern uint64_t shim_map_flags; /* of the last gate_map */
extern uint64_t shim_fail_map;
extern uint64_t shim_free_frames;
/* of each core, as the kernel says */ /* the n-th gate_map from now fails with -ENOMEM; 0: none
                                        */
extern uint32_t shim_core;             /* what posix_core says */
extern char shim_reports[4096];
extern int64_t shim_exit_status;   /* of gate_exit; -1: not called */
extern void (*shim_at_exit)(void); /* must not return: gate_exit does not */

/* Sets information page and image; cores and slots as in a machine of two cores. */
void shim_start(const struct test_image *image);
void shim_allow_write_execute(bool allow);
/* Whether the build machine has a page mapped, and with which PROT_*; -1: not mapped. */
int shim_protection_at(uint64_t address);

#endif
