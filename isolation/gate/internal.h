/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the gate. */
#ifndef ISOLATION_GATE_INTERNAL_H
#define ISOLATION_GATE_INTERNAL_H

#include <gate/gate.h>
#include <isolation/space.h>
#include <percpu/queue.h>

/* A handler's answer: a value, or a negated errno; a handler that made the thread wait or park
 * returns anything, and the completion sets frame.rax. */
typedef int64_t (*gate_handler)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
extern gate_handler shared_gate_handlers[GATE_CALL_COUNT];
/* Core 0, before seal: the handlers of a cell that may make the calls of this set; the others are
 * refused there at no cost for those that are allowed. */
void gate_handlers_choose(uint32_t calls);

#define GATE_CALL(number, name, arguments)                                                         \
    int64_t gate_handle_##name(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include <gate_table.inc>
#undef GATE_CALL

/* Copies between the kernel and the caller's memory. RESULT_OK; SPACE_PENDING: a page is not there,
 * it is fetched and the call repeated; else the failure. */
enum result gate_copy_from_user(void *to, uint64_t from, uint64_t bytes);
enum result gate_copy_to_user(uint64_t to, const void *from, uint64_t bytes);
/* Answers a request with one number, which may be a negated errno; and the continuation that ends
 * the wait of the thread and answers its call with it, or repeats the call if a credit came. */
void gate_reply(core_id_t to, const struct percpu_message *request, int64_t value);
void gate_complete_by_value(struct thread *thread, const struct percpu_message *reply);

/* Another core does the call, whose number and arguments are set, with its own handler and answers
 * with the value. The handler returns what this returns. */
int64_t gate_pass_on(uint64_t core, struct percpu_message call);

/* What other cores ask of this one; given to percpu by gate_initialize. */
void gate_call_requested(core_id_t from, const struct percpu_message *call);
void gate_move_requested(core_id_t from, const struct percpu_message *request);
void gate_ask_requested(core_id_t from, const struct percpu_message *question);

int64_t gate_move_to(struct thread *thread, core_id_t core);

static inline bool gate_is_in(uint64_t rip, uint64_t begin, uint64_t end)
{
    return rip >= begin && rip < end;
}

/* The address is of posix's code or the gate page. */
static inline bool gate_is_in_posix(const struct cell *cell, uint64_t rip)
{
    return gate_is_in(rip, cell->posix.text_begin, cell->posix.text_end) ||
           gate_is_in(rip, cell->posix.gate_page, cell->posix.gate_page + PAGE_BYTES);
}

/* Saves what the hardware holds of the thread that was loaded last, so that it can leave this core
 * or be freed. */
void gate_unload(struct thread *thread, bool save);
/* The thread whose state that is, or NULL. */
extern PERCORE struct thread *gate_loaded;
/* How long a thread of this core has run, in nanoseconds. */
uint64_t gate_run_ns(const struct thread *thread);

noreturn void gate_return_slow(int64_t result);
noreturn void gate_resume_call(struct thread *thread);
noreturn void gate_resume_full(struct thread *thread);

#endif
