/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a thread, and the table of all of them. A record lies at the top of its thread's
 * posix stack, so the thread finds it from rsp alone. Fields are grouped by who writes them. */
#ifndef POSIX_THREAD_H
#define POSIX_THREAD_H

#include <posix/instructions.h>
#include <posix/posix.h>
#include <posix/signal.h>

#define POSIX_THREAD_NAME_BYTES 16u
#define POSIX_PROCESS_ID 1
#define POSIX_CALL_NONE                                                                            \
    UINT64_MAX /* posix/ was not entered by a call, or it must not be repeated */

struct posix_thread;
/* What restart_syscall does for a call that was interrupted after part of its time. */
typedef int64_t (*posix_restart)(struct posix_thread *self);

/* What the scheduling calls of Linux set, in one word. */
struct posix_scheduling {
    uint8_t policy, priority;
    int8_t nice;
    bool reset_on_fork; /* new threads do not inherit what needs a right */
};

struct posix_thread {
    /* the thread itself */
    struct gate_frame *frame; /* what it returns to the application with */
    uint64_t call;            /* number of the call, or POSIX_CALL_NONE */
    uint64_t clear_child_tid; /* application address, 0: none */
    uint64_t robust_list;
    uint64_t start_ns;         /* monotonic */
    uint64_t fs_base, gs_base; /* what it starts with; extended_control likewise */
    uint32_t mxcsr;
    uint16_t x87_control;
    posix_restart restart;
    uint64_t restart_argument[6];
    struct posix_signal_stack signal_stack;
    struct posix_signal_fault fault;
    uint64_t suspended_mask; /* to be blocked again when rt_sigsuspend's signal was delivered */
    bool has_suspended_mask;
    char name[POSIX_THREAD_NAME_BYTES];
    struct socket_rights **discarded; /* net/rights.c; NULL: it gives back no files in messages */
    /* the thread itself; read by senders of signals */
    _Atomic uint64_t blocked;
    _Atomic uint64_t awaited; /* blocked before rt_sigtimedwait opened a part of it */
    _Atomic bool is_waiting;  /* in posix_park: for /proc */
    /* its creator, then constant */
    _Atomic uint64_t handle; /* 0: not known yet; HANDLE_AWAITED: the thread parks for it */
    int32_t id;
    uint32_t stack_core; /* in whose slots the posix stack lies */
    /* guarded by the lock of signals */
    struct posix_signal_queue signals;
    /* others, with INTERRUPT */
    _Atomic struct posix_scheduling scheduling;
    _Atomic uint64_t affinity; /* bit c: may run on core c */
    _Atomic bool has_to_move;
    _Atomic uint64_t run_ns; /* processor time that others have seen, never goes back */
    /* of mutexes with priority inheritance: written under their lock (thread/pi_futex.c) */
    _Atomic uint32_t inherited_level; /* of who waits for this thread; 0: none */
    bool has_handed_over;             /* it ends and will own no mutex any more */
    _Atomic bool is_at_ceiling;       /* its own: its level in the kernel is not what it follows */
    /* guarded by the lock of the table */
    struct posix_thread *next, *previous; /* all threads */
    struct posix_thread *next_in_bucket;
    /* stack cache; done by the kernel */
    struct posix_thread *next_free;
    _Atomic uint32_t done;
};

#define POSIX_RECORD_BYTES ((sizeof(struct posix_thread) + 63u) & ~63ul)
_Static_assert(POSIX_RECORD_BYTES <= 1024, "the record must leave the stack to the code");

/* The record of the stack whose lowest address is given. */
static inline struct posix_thread *posix_thread_of_stack(void *stack)
{
    return (struct posix_thread *)((uint8_t *)stack + POSIX_STACK_BYTES - POSIX_RECORD_BYTES);
}

/* The calling thread's record, found from rsp. Hosted tests have stacks of the host. */
#ifdef ATOLL_HOSTED
struct posix_thread *posix_self(void);
#else
static inline struct posix_thread *posix_self(void)
{
    uint64_t stack = instruction_rsp() & ~(uint64_t)(POSIX_STACK_BYTES - 1);
    return posix_thread_of_stack((void *)stack); // NOLINT
}
#endif

/* Where the thread's posix stack is empty: 16-aligned, just below the record. */
static inline uint64_t posix_stack_top(const struct posix_thread *thread)
{
    return (uint64_t)(uintptr_t)thread;
}

/* The calling thread's handle for unpark; never 0. */
uint64_t posix_thread_handle(struct posix_thread *self);

/* ---- the table. Visits run under its lock: no blocking, no application memory. */
typedef bool (*posix_thread_visitor)(struct posix_thread *thread, void *context);

/* Puts the first thread in: id POSIX_PROCESS_ID. */
void posix_thread_initialize(struct posix_thread *thread);
/* Gives the record an id and puts it in. */
void posix_thread_insert(struct posix_thread *thread);
/* Takes it out; true if it was the last one. */
bool posix_thread_remove(struct posix_thread *thread);
/* Calls the visitor with the thread of that id; false: there is none, or the visitor said so. */
bool posix_thread_visit(int32_t id, posix_thread_visitor visitor, void *context);
/* Calls the visitor with each thread, the first one first, until it returns true. */
bool posix_thread_visit_all(posix_thread_visitor visitor, void *context);
uint32_t posix_thread_count(void);

/* Wakes a thread from a wait or takes it out of application code. Its record must be in the table,
 * and the table locked, or be the caller's own. */
void posix_thread_interrupt(struct posix_thread *thread);

/* ---- stacks of ended threads, kept for the next thread on the same core */
void *posix_stack_take(uint32_t core);
/* The calling thread's own, just before gate_thread_exit(&thread->done). */
void posix_stack_give(struct posix_thread *self);

/* Ends the calling thread: robust list, tid word, table; the last one ends the cell. */
noreturn void posix_thread_end(uint64_t status);
/* Ends the cell: what was called in vain is listed if the image is verbose. */
noreturn void posix_cell_end(uint64_t status, uint64_t signal);

/* C half of a new thread's start: waits for its handle, sets what clone asked for. */
void posix_thread_begin(struct posix_thread *self);

/* Cores that threads may run on, as a mask. */
uint64_t posix_core_mask(void);
/* The kernel's priority that a thread's policy and who waits for it ask for; and the policy of a
 * new thread. */
uint32_t posix_scheduling_level(struct posix_thread *thread);
struct posix_scheduling posix_scheduling_inherited(struct posix_thread *parent);
/* Moves the calling thread to a core of its affinity mask if it is not on one. With balanced
 * placement also tells the kernel that mask and learns the handle, which a move has changed. */
int64_t posix_thread_settle(struct posix_thread *self);

#define POSIX_SERVICE_PRIORITY (GATE_PRIORITY_COUNT - 1) /* the highest */

/* Starts a thread of posix/'s own on a core, of the highest priority. It has a record, since locks
 * want to know who waits, but is in no table: it gets no signals and does not keep the process
 * alive.
 *
 * @serve      never returns
 * Returns its handle, or -EAGAIN: no memory or no kernel thread */
int64_t posix_service_start(uint32_t core, void (*serve)(void));

#endif
