/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of host threads for tests and fuzz targets: each core is a thread, its outbox is heap
 * memory, an IPI is a futex, physical memory is numbers only. The test's main thread is no core: it
 * lets cores run functions, one after another or all at once.
 *
 *     host_start(&(struct host_config){.core_count = 4, .thread_count = 64});
 *     host_on(0, prepare, NULL);
 *     host_on_all(work, NULL);      (returns when all have returned)
 *     host_stop();
 *
 * A "thread" of percpu is a state machine here: a step function that host_loop calls whenever the
 * scheduler picks the thread. */
#ifndef PERCPU_HOST_H
#define PERCPU_HOST_H

#include <percpu/frames.h>
#include <percpu/scheduler.h>

struct host_config {
    uint16_t core_count;
    uint32_t thread_count;
    uint32_t quantum_ns;      /* 0: 1 ms */
    uint64_t memory_start;    /* physical; partitions follow each other from here */
    uint64_t partition_bytes; /* of each core; 0: 8 MiB */
    uint64_t seed;            /* for delays in ATOLL_PERTURB builds; 0: none */
    bool is_balanced;         /* idle cores ask for threads */
    bool add_frames;          /* hand the whole partition to the frame allocator */
};
void host_start(const struct host_config *config);
void host_stop(void);

/* Makes the calling thread core 0 of such a machine; the other cores have outboxes and never run.
 * host_leave frees it all. */
void host_enter(const struct host_config *config);
void host_leave(void);

typedef void (*host_function)(void *argument);
/* Runs the function on one core, or on all at the same time, and waits for its end. */
void host_on(uint16_t core, host_function function, void *argument);
void host_on_all(host_function function, void *argument);

/* One step of a percpu thread: it may park, wait, free itself, or return still running. */
typedef void (*host_step)(struct thread *thread);
/* On a core: a new READY thread of the given priority. */
struct thread *host_thread_start(host_step step, uint8_t priority);
/* On a core: the kernel's loop (drain, schedule, run or idle) until host_finish was called. */
void host_loop(void);
/* From anywhere: ends the loops of all cores, also those that begin later, until host_prepare. */
void host_finish(void);
void host_prepare(void);

/* On a core: from now on percpu_operation_now returns what is set here. */
void host_time_set(uint64_t now_ns);
/* On a core: IPIs that it has sent to others, and received; blocks attached minus blocks detached.
 */
extern PERCORE uint64_t host_ipis_sent;
uint64_t host_ipis_received(void);
int64_t host_blocks_attached(void);

/* A condition that must hold, for code on cores: check.h's macros are the main thread's. */
#define HOST_CHECK(condition)                                                                      \
    ((condition) ? (void)0 : percpu_assert_failed(#condition, __FILE__, __LINE__))

#endif
