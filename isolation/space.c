/* SPDX-License-Identifier: Apache-2.0 */
/* The doors: map, unmap and protect go to the owner of the slot, here or by message. */
#include "space.h"

#include "physical.h"

#include <percpu/frames.h>
#include <percpu/scheduler.h>

core_id_t isolation_slot_owner(uint64_t address)
{
    return (core_id_t){(uint16_t)(address / GATE_SLOT_BYTES % percpu_core_count)};
}

struct table_root space_root(const struct cell *cell, uint64_t address)
{
    ASSERT(isolation_is_shared(cell, address));
    ASSERT(isolation_slot_owner(address).value == percpu_self.value);
    return (struct table_root){shared_slot_tables[address / GATE_SLOT_BYTES],
                               cell->ring == 3 ? ENTRY_USER : 0};
}

static enum result execute(struct space_asked *asked)
{
    const uint64_t *arguments = asked->message.arguments;
    if (asked->message.kind == PERCPU_MESSAGE_FAULT) {
        return fault_resolve(asked);
    }
    if (asked->message.kind == PERCPU_MESSAGE_MAP && arguments[SPACE_FLAGS] == 0) {
        uint64_t start = arguments[SPACE_ADDRESS];
        uint32_t rights = (uint32_t)arguments[SPACE_PROTECTION];
        struct table_root root = space_root(asked->cell, start);
        struct table_cursor cursor;
        return range_lay(&root, start, start + arguments[SPACE_BYTES],
                         entry_make_lazy(ENTRY_LAZY_ZERO, rights), &cursor);
    }
    return operation_run(asked);
}

/* ---- a thread of this core */

/* The answer of a slot's owner, or what came of a want of memory; NULL: a credit came back. */
static void call_complete(struct thread *thread, const struct percpu_message *reply)
{
    bool has_memory =
        reply != NULL && reply->kind == PERCPU_MESSAGE_BLOCK_GRANT && reply->status == RESULT_OK;
    if (reply == NULL || reply->status == RESULT_AGAIN || has_memory) {
        thread->resume = RESUME_RESTART;
    } else {
        thread->frame.rax = (uint64_t)(int64_t)reply->status;
        thread->resume = RESUME_GATE;
    }
    percpu_thread_ready(thread);
}

/* @impl ATL-LLR-PERCPU-0020~1 */
enum result space_await_memory(struct thread *thread, thread_continuation answered)
{
    TRY(percpu_frames_grant_request(thread, answered));
    return SPACE_PENDING;
}

/* @impl ATL-LLR-ISOL-0014~2 */
enum result isolation_space_request(struct thread *thread, enum percpu_message_kind kind,
                                    const uint64_t arguments[static PERCPU_MESSAGE_ARGUMENTS])
{
    struct space_asked asked = {
        .cell = thread->cell, .thread = thread, .message = {.kind = (uint16_t)kind}};
    __builtin_memcpy(asked.message.arguments, arguments,
                     sizeof(asked.message.arguments)); /* inline */
    uint64_t *rights = &asked.message.arguments[SPACE_PROTECTION];
    *rights = entry_rights_effective((uint32_t)*rights);
    uint64_t image_bytes = ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES);
    if ((arguments[SPACE_FLAGS] & GATE_MAP_IMAGE) != 0 &&
        (arguments[SPACE_OFFSET] > image_bytes ||
         arguments[SPACE_BYTES] > image_bytes - arguments[SPACE_OFFSET])) {
        return RESULT_INVALID;
    }
    core_id_t owner = isolation_slot_owner(arguments[SPACE_ADDRESS]);
    thread->work[WORK_VERDICT] = 0;
    if (owner.value != percpu_self.value) {
        percpu_channel_call(owner, &asked.message, thread, call_complete);
        return SPACE_PENDING;
    }
    enum result result =
        thread->work[WORK_OPERATION] != 0 ? operation_resume(thread) : execute(&asked);
    return result == RESULT_NO_MEMORY ? space_await_memory(thread, call_complete) : result;
}

/* ---- another core's thread, a slot of this core */

void space_answer(struct space_asked *asked, enum result result)
{
    asked->message.status = result;
    percpu_channel_reply(asked->from, &asked->message);
}

static void request_taken(core_id_t from, const struct percpu_message *request)
{
    struct space_asked asked = {.cell = space_cell, .from = from, .message = *request};
    bool is_known = asked.cell != NULL && asked.cell->id == request->arguments[SPACE_CELL];
    enum result result = is_known ? execute(&asked) : RESULT_FAULT;
    if (result != SPACE_PENDING) {
        space_answer(&asked, result);
    }
}

void space_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_MAP, request_taken, NULL);
    percpu_channel_handle(PERCPU_MESSAGE_UNMAP, request_taken, NULL);
    percpu_channel_handle(PERCPU_MESSAGE_PROTECT, request_taken, NULL);
    percpu_channel_handle(PERCPU_MESSAGE_FAULT, request_taken, NULL);
    operation_register_handlers();
}
