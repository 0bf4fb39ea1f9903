/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler of one core: 32 fixed priorities, FIFO in each, round robin by quantum, deadlines
 * in a bounded heap, park and unpark. Context of every function: own core, interrupts off. */
#ifndef PERCPU_SCHEDULER_H
#define PERCPU_SCHEDULER_H

#include <percpu/base.h>
#include <percpu/thread.h>

struct percpu_config {
    core_id_t self;
    uint16_t core_count;
    uint32_t thread_count;  /* pool size, 1..PERCPU_THREADS_MAX, the same on every core */
    struct thread *threads; /* zeroed, thread_count of them */
    void *extended;         /* thread_count * extended_stride bytes, 64-aligned, zeroed */
    uint32_t extended_stride;
    uint32_t quantum_ns;
    bool is_balanced; /* idle cores ask for threads */
    /* [self] writable, others read-only; zeroed before anyone starts */
    void *outbox[CORE_COUNT_MAX];
    paddr_t memory_limit; /* highest physical address of the machine's RAM */
    /* Core c is the home of the RAM in [partition[c], partition[c + 1]); page multiples. */
    paddr_t partition[CORE_COUNT_MAX + 1];
    void *frame_tables; /* percpu_frames_table_bytes(memory_limit), zeroed */
    /* Called when a 2 MiB block comes to or leaves this core (grants): maps or unmaps it in the
     * direct map. The block is wholly free at that moment. */
    void (*block_attach)(paddr_t block);
    void (*block_detach)(paddr_t block);
};
#define PERCPU_THREADS_MAX 4096u

/* Bytes of one core's outbox. */
uint64_t percpu_outbox_bytes(uint32_t core_count, uint32_t thread_count, paddr_t memory_limit);
/* Once on each core, whose PERCORE variables are still zero. */
void percpu_initialize(const struct percpu_config *config);

extern PERCORE core_id_t percpu_self;
extern PERCORE uint16_t percpu_core_count;
extern PERCORE struct thread *percpu_current; /* NULL while idle */
extern PERCORE bool percpu_reschedule;        /* something may have to run instead of current */

/* A thread from the pool: state WAITING, fields zero but index, generation, extended, deadline.
 * RESULT_AGAIN: pool empty. */
enum result percpu_thread_allocate(struct thread **thread);
void percpu_thread_free(struct thread *thread);
uint64_t percpu_thread_handle(const struct thread *thread); /* gate_thread_t */
/* NULL: no such thread on this core (any 64-bit value is allowed). */
struct thread *percpu_thread_find(uint64_t handle);
extern PERCORE uint32_t percpu_threads_live;

/* WAITING or PARKED or new -> READY, at the tail of its priority; sets percpu_reschedule if it
 * should run before current. */
void percpu_thread_ready(struct thread *thread);
/* Current thread stops running: RUNNING -> WAITING (continuation set by the caller) or PARKED. */
void percpu_thread_wait(struct thread *thread, thread_continuation continuation);
/* @priority   0..31, and 32 more for a thread that shares its core with equals without a quantum */
void percpu_thread_set_priority(struct thread *thread, uint8_t priority);

/* RESULT_OK: the permit was there and is taken; RESULT_AGAIN: current is now PARKED, until a permit
 * or the deadline; its frame.rax is then set to 0 or RESULT_TIMED_OUT. A deadline of 0 is a yield:
 * current becomes READY behind its equals, or RESULT_TIMED_OUT: no other one can run. */
enum result percpu_park(uint64_t deadline_ns);
/* Gives the permit; a PARKED thread becomes READY with frame.rax = 0. With interrupt, also sets
 * thread->interrupt (and wakes it, if parked). */
void percpu_unpark(struct thread *thread, bool interrupt);

/* Expires deadlines and the quantum, then picks: returns the thread to run (now RUNNING and
 * percpu_current), or NULL: idle. */
struct thread *percpu_schedule(void);
/* Takes a ready thread that may run on core `to`, and that may_leave agrees to, out of its queue:
 * it is WAITING then. NULL: none among those that were looked at, the most urgent first. */
struct thread *percpu_ready_take(core_id_t to, bool (*may_leave)(const struct thread *thread));
/* For a core that is about to idle until deadline_ns. Balanced placement: once in a quantum, asks
 * the core with the longest queue for a thread; returns when to look again at the latest. */
uint64_t percpu_balance(uint64_t deadline_ns);

/* When the timer must fire next: earliest deadline or the quantum's end; THREAD_NEVER if neither.
 */
uint64_t percpu_next_event_ns(void);

#endif
