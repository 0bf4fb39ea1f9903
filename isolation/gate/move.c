/* SPDX-License-Identifier: Apache-2.0 */
/* A running thread moves itself to another core, or an idle core is given a ready one: its state
 * travels in this core's staging page; the other core makes a thread of it under a new handle, and
 * the old one is freed when that is known. One move at a time leaves a core; others wait in line by
 * repeating their call. */
#include "internal.h"

#include <cpu/string.h>
#include <kernel/facts.h>

static PERCORE struct thread *moving; /* has the staging page */
static PERCORE struct thread_queue waiting;

void gate_move_requested(core_id_t from, const struct percpu_message *request)
{
    struct thread *thread;
    enum result made = percpu_thread_allocate(&thread);
    if (made == RESULT_OK) {
        const struct thread *state = gate_staging_of_remote(from, GATE_STAGING_MOVE);
        memcpy(thread, state, THREAD_MOVED_BYTES);
        memcpy(thread->extended, state + 1, shared_facts.info.extended_bytes);
        thread->cell = &gate_cell;
        if (thread->resume == RESUME_GATE) {
            thread->frame.rax = percpu_thread_handle(thread);
        } else {
            thread->interrupt = true; /* not by its own call: posix/ learns the new handle so */
        }
        percpu_thread_ready(thread);
    }
    gate_reply(from, request, made);
}

static void move_replied(struct thread *thread, const struct percpu_message *reply)
{
    ASSERT(moving == thread);
    moving = NULL;
    struct thread *next = thread_queue_take(&waiting);
    if (next != NULL) {
        percpu_thread_ready(next); /* repeats its call */
    }
    if (reply != NULL && reply->arguments[0] == RESULT_OK) {
        percpu_thread_free(thread);
    } else if (thread->resume == RESUME_GATE) {
        gate_complete_by_value(thread, reply);
    } else {
        percpu_thread_ready(thread);
    }
}

/* Into the staging page: the thread as it is here, and behind it its extended state. */
static void move(struct thread *thread, core_id_t core)
{
    gate_unload(thread, true);
    struct thread *state = gate_staging_own(GATE_STAGING_MOVE);
    *state = *thread;
    memcpy(state + 1, thread->extended, shared_facts.info.extended_bytes);
    moving = thread;
    percpu_channel_call(core, &(struct percpu_message){.kind = PERCPU_MESSAGE_THREAD_MOVE}, thread,
                        move_replied);
}

int64_t gate_move_to(struct thread *thread, core_id_t core)
{
    if (moving == NULL) {
        move(thread, core);
    } else {
        thread->resume = RESUME_RESTART;
        percpu_thread_wait(thread, NULL);
        thread_queue_append(&waiting, thread);
    }
    return 0;
}

/* Outside posix/ nothing on the thread's stack knows its core or its handle, and no call of it is
 * under way. */
static bool may_leave(const struct thread *thread)
{
    return thread->resume == RESUME_FULL && !gate_is_in_posix(thread->cell, thread->frame.rip);
}

/* An idle core asks for a thread. @impl ATL-LLR-GATE-0040~2 */
void gate_ask_requested(core_id_t from, const struct percpu_message *question)
{
    struct thread *thread = moving == NULL ? percpu_ready_take(from, may_leave) : NULL;
    if (thread != NULL) {
        move(thread, from);
    }
    percpu_channel_reply(from, question);
}
