/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the gate. */
#ifndef ISOLATION_GATE_INTERNAL_H
#define ISOLATION_GATE_INTERNAL_H

#include <gate/gate.h>
#include <isolation/space.h>
#include <percpu/queue.h>

/* A handler's answer: a value, or a negated errno; a handler that made the thread wait or park
 * returns anything, and the completion sets frame.rax. */
typedef int64_t (*gate_handler)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern const gate_handler gate_handlers[GATE_CALL_COUNT];

#define GATE_CALL(number, name, arguments)                                                         \
    int64_t gate_handle_##name(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include <gate_table.inc>
#undef GATE_CALL

/* A user copy met a page that is not there: fetches it and repeats the call, or answers -EFAULT. */
int64_t gate_fetch_and_repeat(uint64_t fault_address, enum space_access access);
/* The current thread waits; its call is repeated when it is made ready again. */
void gate_wait_and_repeat(struct thread *thread);
/* Sends a request for the waiting thread, or queues it for a credit and repeats the call then. */
void gate_request_or_repeat(core_id_t to, const struct percpu_message *request,
                            struct thread *thread, thread_continuation continuation);
/* Ends the wait of a thread whose call is complete. */
void gate_complete(struct thread *thread, int64_t result);
/* Answers a request with one number, which may be a negated errno; and the continuation that
 * answers the thread's call with it. */
void gate_reply(core_id_t to, const struct percpu_message *request, int64_t value);
void gate_complete_by_value(struct thread *thread, const struct percpu_message *reply);

/* A resource of this core that one thread has at a time; the others wait and repeat their call. */
struct gate_line {
    struct thread *owner;
    struct thread_queue waiting;
};
/* True: nobody has it, and the caller may set .owner. False: the current thread waits. */
bool gate_line_is_free(struct gate_line *line);
void gate_line_release(struct gate_line *line);

const struct gate_services *gate_services(void);
void gate_console_initialize(void);
void gate_move_initialize(void);
int64_t gate_move_to(struct thread *thread, core_id_t core);
void gate_information_initialize(void);
void gate_threads_initialize(void);

static inline bool gate_is_in(uint64_t rip, uint64_t begin, uint64_t end)
{
    return rip >= begin && rip < end;
}

/* The address is of posix's code or the gate page. */
static inline bool gate_is_in_posix(const struct cell *cell, uint64_t rip)
{
    return gate_is_in(rip, cell->text_begin, cell->text_end) ||
           gate_is_in(rip, cell->gate_page, cell->gate_page + PAGE_BYTES);
}

/* Saves what the hardware holds of the thread that was loaded last, so that it can leave this core
 * or be freed. */
void gate_unload(struct thread *thread, bool save);
/* How long a thread of this core has run, in nanoseconds. */
uint64_t gate_run_ns(const struct thread *thread);

noreturn void gate_return_slow(int64_t result);
noreturn void gate_resume_call(struct thread *thread);
noreturn void gate_resume_full(struct thread *thread);

#endif
