/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the library OS share: the calling thread, access to application memory, locks,
 * blocking, and posix/'s own memory. posix/ runs in the application's ring, on its own stack per
 * thread, and knows neither its ring nor privileged instructions.
 *
 * Error policy: a Linux call returns int64_t: a value, or a negated Linux errno with no side effect
 * that Linux would not have. Application memory is touched only through posix_copy_*; with no lock
 * held. posix/'s own memory is never lazy. */
#ifndef POSIX_POSIX_H
#define POSIX_POSIX_H

#include <isolation/gate_abi.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#ifndef PERCORE /* kernel/image.h brings the kernel's, which is the same but for hosted tests */
/* As in percpu/base.h: one instance for each core; hosted, a core is a host thread. */
#ifdef ATOLL_HOSTED
#define PERCORE _Thread_local
#else
#define PERCORE __attribute__((section(".percore")))
#endif
#endif

/* ---- gate (core/gate.S): C functions over the gate page, one for each call of gate.toml */
noreturn void gate_exit(uint64_t status, uint64_t signal);
int64_t gate_thread_create(uint64_t core, uint64_t entry, uint64_t stack, uint64_t cookie,
                           uint64_t priority);
int64_t gate_thread_exit(uint64_t done);
int64_t gate_thread_set(uint64_t thread, uint64_t priority, uint64_t core, uint64_t cores);
int64_t gate_park(uint64_t deadline, uint64_t flags);
int64_t gate_unpark(uint64_t thread, uint64_t flags);
int64_t gate_map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                 uint64_t offset);
int64_t gate_unmap(uint64_t address, uint64_t bytes, uint64_t flags);
int64_t gate_protect(uint64_t address, uint64_t bytes, uint64_t protection);
int64_t gate_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes);
int64_t gate_random(uint64_t buffer, uint64_t bytes);
int64_t gate_information(uint64_t kind, uint64_t core, uint64_t count);
int64_t gate_kick(uint64_t port, uint64_t flags);

/* A counter of a core: GATE_COUNT(...). 0: the image may not ask. May change the core. */
static inline uint64_t posix_core_count(uint32_t core, uint64_t count)
{
    int64_t value = gate_information(GATE_INFORMATION_CORE, core, count);
    return value > 0 ? (uint64_t)value : 0;
}

extern const struct gate_info posix_info; /* the information page */
extern PERCORE struct gate_words posix_words;

/* ---- threads (core/) */
#define POSIX_STACK_BYTES                                                                          \
    16384u /* one posix stack, aligned to its size; the thread record tops it */
struct posix_thread;
int32_t posix_thread_id(const struct posix_thread *thread); /* Linux tid; main thread = pid = 1 */
uint32_t posix_core(void);   /* core that runs this; may change only at a gate call */
uint64_t posix_now_ns(void); /* CLOCK_MONOTONIC */

/* ---- application memory (core/copy.S, exception table). 0 or -EFAULT; on failure a prefix may
 * have been copied. */
int64_t posix_copy_in(void *to, uint64_t from, size_t bytes);
int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes);
int64_t posix_zero_out(uint64_t to, size_t bytes);
/* Length without NUL (< bytes_max), or -EFAULT, or -ENAMETOOLONG. */
int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max);
/* 32-bit accesses for futexes and tid words. */
int64_t posix_load_u32(uint64_t from, uint32_t *value);
int64_t posix_store_u32(uint64_t to, uint32_t value);
int64_t posix_exchange_u32(uint64_t at, uint32_t expected, uint32_t desired, uint32_t *seen);

/* ---- locks (core/lock.c): small, fair enough, park when contended; never held while blocking on
 * anything but another lock of higher rank, never while touching application memory */
struct posix_lock {
    _Atomic uint32_t state;
};
void posix_lock_acquire(struct posix_lock *lock);
void posix_lock_release(struct posix_lock *lock);

/* ---- blocking (core/wait.c): a list of threads waiting for a condition guarded by a lock */
struct posix_wait_queue {
    struct posix_waiter *first, *last;
};
/* Caller holds lock; it is released while waiting and NOT held on return. 0 woken, -ETIMEDOUT,
 * -EINTR (a signal is deliverable to this thread). deadline GATE_NEVER: none. */
int64_t posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock, uint64_t deadline_ns);
/* Wakes up to count waiters; caller holds the queue's lock. Returns how many. */
uint32_t posix_wake(struct posix_wait_queue *queue, uint32_t count);
/* As posix_wake of one, but for the unpark, which comes with the release: on another core the woken
 * thread would find the lock taken. Returns its handle; 0: nobody waits. */
uint64_t posix_wake_first(struct posix_wait_queue *queue);
void posix_release_and_unpark(struct posix_lock *lock, uint64_t handle);
/* True if the calling thread must return to deliver a signal or to end. */
bool posix_signal_is_pending(void);

/* ---- posix's own memory (memory/): populated, shared, in slots of the calling core */
void *posix_allocate(size_t bytes); /* 16-aligned, zeroed; NULL: no memory */
/* As posix_allocate, but not cleared: for what is written before it is read. */
void *posix_allocate_buffer(size_t bytes);
void posix_free(void *memory);
void *posix_stack_allocate(uint32_t core); /* POSIX_STACK_BYTES, aligned, guard pages around */
void posix_stack_free(void *stack);

/* ---- loading and start (load/, memory/, file/): called once by core/start.c on the first thread
 */
struct posix_program {
    uint64_t entry, stack; /* where the application starts: rip and rsp */
};
void posix_memory_initialize(void);
void posix_file_initialize(void);
/* Loads the program of the image and builds its initial stack; does not return on failure but ends
 * the cell with a message on the error stream and status 126 (not loadable) or 127 (not found). */
void posix_program_load(struct posix_program *program);

/* ---- the console (core/console.c) */
#define POSIX_CONSOLE_CORE 0u
/* As the console call of the gate, for threads of every core; but only on POSIX_CONSOLE_CORE is a
 * thread that found no input unparked when there is some. */
int64_t posix_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes);
/* Starts the threads that serve the other cores, before a thread is made on one or goes there; more
 * often does nothing (file/). -EAGAIN, also where the image may not make threads: then the threads
 * of other cores go to the console themselves. */
int64_t posix_console_serve_cores(void);
/* Its part for output; input_handle is that of the thread which calls posix_console_serve_input
 * whenever it is unparked. -EAGAIN */
int64_t posix_console_start(uint64_t input_handle);
void posix_console_serve_input(void);

/* ---- reports on the console's error stream, for humans; "posix: " is put before */
void posix_report(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Our bug: report and end the cell (signal 6). */
noreturn void posix_panic(const char *reason);

/* Linux errno values that posix/ returns, negated. */
#include <posix/errno.h>

#endif
