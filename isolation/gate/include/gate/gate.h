/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's inside, for kernel/main and isolation/gate: how a core runs the threads of its cell.
 * A core's life is one loop: an entry (call, trap, interrupt) does bounded work on the gate stack
 * and ends in gate_leave, which never returns. All functions: own core, interrupts off. */
#ifndef GATE_GATE_H
#define GATE_GATE_H

#include <isolation/cell.h>
#include <percpu/channel.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>
#include <percpu/thread.h>

/* This core's cell. One today; reached through the current thread where there is one. */
extern PERCORE struct cell gate_cell;
extern PERCORE struct gate_core_counts gate_counts;

/* Boot, each core, after isolation_cell_build: what the entry path needs in variables of its own,
 * and the message handlers of the gate. */
void gate_initialize(void);

/* Chooses what runs next and goes there: drains channels, delivers an INTERRUPT, idles if nothing
 * is ready. The only way out of the kernel. */
noreturn void gate_leave(void);

/* An exception of the current thread that the kernel does not resolve: prepares its upcall.
 * SPACE_PENDING: the thread waits for a page of posix's stack, and the exception repeats when it
 * runs again; other failures: that stack cannot be written; the caller ends the cell. */
enum result gate_upcall_fault(struct thread *thread, uint64_t vector, uint64_t error,
                              uint64_t address);

/* After a page fault of the supervisor kind in ring 3, which only an emulator makes: true if it was
 * an IRETQ of posix/, and the thread now stands behind it. */
bool gate_complete_return(struct thread *thread);

/* The thread's cell cannot go on: the thread calls exit with this signal as its next step. */
#define SIGNAL_SEGV 11
void gate_end_by_signal(struct thread *thread, uint64_t signal);

/* A new thread of this core's cell, ready to run at entry (absolute address inside posix): its
 * handle. RESULT_INVALID: entry, stack or priority; RESULT_AGAIN: no thread left. */
int64_t gate_thread_start(uint64_t entry, uint64_t stack, uint64_t cookie, uint64_t priority);

/* Staging pages at the end of each core's outbox (REGION_STAGING_PAGES): what does not fit a
 * message. */
enum gate_staging {
    GATE_STAGING_MOVE, /* a thread on its way to another core; before any runs, the audit's verdict
                        */
    GATE_STAGING_NETWORK, /* what cores tell each other of the network device */
};
/* This core's, writable; another core's, to read. */
void *gate_staging_own(enum gate_staging page);
const void *gate_staging_of_remote(core_id_t core, enum gate_staging page);

/* The console has room again for writes that it refused, or there is input. Core 0. */
void gate_console_ready(bool has_room);

/* The kick of each port for the current thread, set by its driver; NULL: it is not this core's. */
typedef int64_t (*gate_kick)(uint64_t port, uint64_t flags);
extern PERCORE gate_kick gate_kicks[GATE_PORT_DOORBELL + 1];

/* Prints the audit's verdict on a core. */
struct audit_report;
void gate_report_broken_rule(core_id_t core, const struct audit_report *report);

/* Sends the exit record (enum console_exit, status, signal) and turns the machine off. Any core.
 * kernel/main defines it. */
noreturn void end_machine(uint8_t kind, uint8_t status, uint8_t signal);

#endif
