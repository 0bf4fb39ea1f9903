/* SPDX-License-Identifier: Apache-2.0 */
/* The doors: map, unmap and protect go to the owner of the slot, here or by message. */
#include "space.h"

#include "physical.h"

#include <percpu/frames.h>
#include <percpu/scheduler.h>

enum result isolation_slot_owner(const struct cell *cell, uint64_t address, core_id_t *owner)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    if (slot >= cell->shared_slot_count) {
        return RESULT_INVALID;
    }
    owner->value = (uint16_t)(slot % percpu_core_count);
    return RESULT_OK;
}

struct table_root space_root(const struct cell *cell, uint64_t address)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    ASSERT(slot < cell->shared_slot_count && slot % percpu_core_count == percpu_self.value);
    return (struct table_root){cell->slot_tables[slot], cell->ring == 3 ? ENTRY_USER : 0};
}

/* On this core, which owns the slot. */
static enum result execute(struct cell *cell, const struct percpu_message *request,
                           struct space_origin origin)
{
    const uint64_t *arguments = request->arguments;
    if (request->kind == OPERATION_MAP && arguments[SPACE_FLAGS] == 0) {
        uint64_t start = arguments[SPACE_ADDRESS];
        uint32_t rights = entry_rights_effective((uint32_t)arguments[SPACE_PROTECTION]);
        return range_lay(space_root(cell, start), start, start + arguments[SPACE_BYTES],
                         entry_make_lazy(ENTRY_LAZY_ZERO, rights));
    }
    struct operation *operation;
    TRY(operation_begin(cell, request, origin, &operation));
    return operation_start(operation);
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
    if (percpu_core_count == 1) {
        return RESULT_NO_MEMORY;
    }
    percpu_thread_wait(thread, answered);
    enum result asked = percpu_frames_grant_request(thread);
    ASSERT(asked == RESULT_OK);
    return SPACE_PENDING;
}

static enum result call(struct thread *thread, enum operation_kind kind, struct space_range range,
                        const uint64_t rest[static 3])
{
    struct cell *cell = thread->cell;
    struct percpu_message request = {
        .kind = (uint16_t)kind,
        .arguments = {cell->id, range.address, range.bytes, rest[0], rest[1], rest[2]},
    };
    core_id_t owner;
    thread->work[WORK_VERDICT] = 0;
    TRY(isolation_slot_owner(cell, range.address, &owner));
    if (owner.value != percpu_self.value) {
        request.token = percpu_thread_handle(thread);
        percpu_thread_wait(thread, call_complete);
        if (percpu_channel_request(owner, &request) != RESULT_OK) {
            percpu_channel_await_credit(owner, thread);
        }
        return SPACE_PENDING;
    }
    enum result result = thread->work[WORK_OPERATION] != 0
                             ? operation_resume(thread)
                             : execute(cell, &request, (struct space_origin){.thread = thread});
    return result == RESULT_NO_MEMORY ? space_await_memory(thread, call_complete) : result;
}

/* @impl ATL-LLR-ISOL-0014~2 */
enum result isolation_space_map(struct thread *thread, struct space_range range,
                                uint32_t protection, uint32_t flags, uint64_t offset)
{
    uint64_t image_bytes = ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES);
    if ((flags & GATE_MAP_IMAGE) != 0 &&
        (offset > image_bytes || range.bytes > image_bytes - offset)) {
        return RESULT_INVALID;
    }
    return call(thread, OPERATION_MAP, range, (uint64_t[]){protection, flags, offset});
}

enum result isolation_space_unmap(struct thread *thread, struct space_range range, uint32_t flags)
{
    return call(thread, OPERATION_UNMAP, range, (uint64_t[]){0, flags, 0});
}

enum result isolation_space_protect(struct thread *thread, struct space_range range,
                                    uint32_t protection)
{
    return call(thread, OPERATION_PROTECT, range, (uint64_t[]){protection, 0, 0});
}

/* ---- another core's thread, a slot of this core */

static void asked(core_id_t from, const struct percpu_message *request)
{
    struct cell *cell = space_cell_find(request->arguments[SPACE_CELL]);
    enum result result =
        cell == NULL ? RESULT_INVALID : execute(cell, request, (struct space_origin){.from = from});
    if (result != SPACE_PENDING) {
        const struct percpu_message reply = {
            .kind = request->kind, .is_reply = 1, .status = result, .token = request->token};
        percpu_channel_reply(from, &reply);
    }
}

void space_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_MAP, asked);
    percpu_channel_handle(PERCPU_MESSAGE_UNMAP, asked);
    percpu_channel_handle(PERCPU_MESSAGE_PROTECT, asked);
    operation_register_handlers();
    fault_register_handlers();
}
