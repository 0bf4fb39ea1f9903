/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of a call, for tests of signals. Does not bring posix/signal.h, whose names are those
 * of the host's signal.h. */
#ifndef TESTS_UNIT_POSIX_SHIM_SIGNAL_H
#define TESTS_UNIT_POSIX_SHIM_SIGNAL_H

#include <isolation/gate_abi.h>
#include <stdint.h>

/* The frame that the calling thread will leave with. */
void shim_set_frame(struct gate_frame *frame);
/* Leaves as after call `number` (UINT64_MAX: after none) whose result is in frame->rax. */
void shim_leave(struct gate_frame *frame, uint64_t number);
/* A fault of the calling thread: signal, si_code and address. */
void shim_fault(int32_t signal, int32_t code, uint64_t address);
/* The number of the last call that the way out made again, and how many. */
extern uint64_t shim_repeated_number, shim_repeated_count;
/* A thread at the one shows the other, and goes on at the first if it is to at the other. */
#define SHIM_TRAMPOLINE 0x500020u
#define SHIM_SITE 0x401003u

#endif
