/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of core/ share with each other and with signal/ and thread/, and nobody else. */
#ifndef POSIX_CORE_INTERNAL_H
#define POSIX_CORE_INTERNAL_H

#include <posix/posix.h>
#include <posix/thread.h>

/* Values of a thread's handle before its creator has stored it. */
#define HANDLE_UNKNOWN 0ull
#define HANDLE_AWAITED 1ull

/* Parks until *woken is not 0.
 *
 * Errors:     -EINTR a signal is deliverable | -ETIMEDOUT; *woken may have become 1 meanwhile */
int64_t posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns);

/* calls.S: calls the handler of a Linux call that needs no whole frame; -ENOSYS and counted if it
 * is not offered. */
int64_t posix_syscall_invoke(uint64_t number, const struct gate_frame *frame);
/* Counts a call that is not offered, SYSCALL_COUNT for one that Linux does not have; -ENOSYS. */
int64_t posix_syscall_refuse(uint64_t number);
/* The calls that were made in vain, on the error stream. */
void posix_syscall_report(void);

/* Where a fault of a copy instruction goes on; 0: none of ours. */
uint64_t posix_exception_fixup(uint64_t rip);
/* True for an address of posix/'s own code. */
bool posix_is_own_code(uint64_t rip);

/* copy.S: extended state to and from application memory; 0 or -EFAULT. */
int64_t posix_extended_save(uint64_t to, uint64_t mask);
int64_t posix_extended_restore(uint64_t from, uint64_t mask);
int64_t posix_legacy_restore(uint64_t from);

/* entry.S */
void posix_thread_entry(void);
void posix_service_entry(void);
noreturn void posix_enter(struct gate_frame *frame);
/* C halves of entry.S */
bool posix_upcall(struct gate_upcall *upcall);
uint64_t posix_start_stack(void);
noreturn void posix_deadline_serve(void);
noreturn void posix_start(struct posix_thread *self);
/* Ends the cell: no core has memory for what was touched. */
struct gate_upcall;
noreturn void posix_out_of_memory(const struct gate_upcall *upcall);

/* One line or a part of it to a console stream, without the prefix; for crash reports. */
void posix_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
