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

/* The slot that holds the whole range, whose owner is set. */
static bool is_in_one_slot(const struct cell *cell, struct space_range range, core_id_t *owner)
{
    return IS_ALIGNED(range.address | range.bytes, PAGE_BYTES) && range.bytes > 0 &&
           range.bytes <= GATE_SLOT_BYTES && range.address >= USER_FLOOR &&
           isolation_slot_owner(cell, range.address, owner) == RESULT_OK &&
           range.address / GATE_SLOT_BYTES == (range.address + range.bytes - 1) / GATE_SLOT_BYTES;
}

static bool is_in_image(const struct space_request *request)
{
    uint64_t bytes = ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES);
    return IS_ALIGNED(request->offset, PAGE_BYTES) && request->offset <= bytes &&
           request->range.bytes <= bytes - request->offset;
}

/* The request is one that the owner of the slot can execute: range in one shared slot above the
 * floor, known rights and flags. RESULT_INVALID, RESULT_ACCESS.
 *
 * @impl ATL-LLR-ISOL-0014~1
 * @impl ATL-LLR-ISOL-0015~1 */
static enum result check(const struct cell *cell, const struct space_request *request,
                         core_id_t *owner)
{
    static const uint32_t flags_known[] = {
        [OPERATION_MAP] = GATE_MAP_POPULATE | GATE_MAP_IMAGE,
        [OPERATION_UNMAP] = GATE_UNMAP_DISCARD,
        [OPERATION_PROTECT] = 0,
    };
    const uint32_t image_populated = GATE_MAP_POPULATE | GATE_MAP_IMAGE;
    const uint32_t write_execute = GATE_WRITE | GATE_EXECUTE;
    if (!is_in_one_slot(cell, request->range, owner) ||
        (request->flags & ~flags_known[request->kind]) != 0 ||
        (request->protection & ~ENTRY_RIGHTS_ALL) != 0) {
        return RESULT_INVALID;
    }
    if (request->kind == OPERATION_MAP && (request->flags & GATE_MAP_IMAGE) != 0 &&
        ((request->flags & image_populated) == image_populated || !is_in_image(request))) {
        return RESULT_INVALID;
    }
    return (request->protection & write_execute) == write_execute && !cell->allow_write_execute
               ? RESULT_ACCESS
               : RESULT_OK;
}

/* On this core, which owns the slot. */
static enum result execute(struct cell *cell, const struct space_request *request,
                           const struct space_origin *origin)
{
    if (request->kind == OPERATION_MAP && request->flags == 0) {
        uint64_t start = request->range.address;
        return range_lay(
            space_root(cell, start), start, start + request->range.bytes,
            entry_make_lazy(ENTRY_LAZY_ZERO, entry_rights_effective(request->protection)));
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

static enum result call_owner(struct thread *thread, core_id_t owner,
                              const struct space_request *request)
{
    const struct cell *cell = thread->cell;
    const struct percpu_message message = {
        .kind = request->kind,
        .token = percpu_thread_handle(thread),
        .arguments = {cell->id, request->range.address, request->range.bytes, request->protection,
                      request->flags, request->offset},
    };
    percpu_thread_wait(thread, call_complete);
    if (percpu_channel_request(owner, &message) != RESULT_OK) {
        percpu_channel_await_credit(owner, thread);
    }
    return SPACE_PENDING;
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

static enum result call(struct thread *thread, const struct space_request *request)
{
    core_id_t owner;
    thread->work[WORK_VERDICT] = 0;
    TRY(check(thread->cell, request, &owner));
    if (owner.value != percpu_self.value) {
        return call_owner(thread, owner, request);
    }
    enum result result =
        thread->work[WORK_OPERATION] != 0
            ? operation_resume(thread)
            : execute(thread->cell, request, &(struct space_origin){.thread = thread});
    return result == RESULT_NO_MEMORY ? space_await_memory(thread, call_complete) : result;
}

enum result isolation_space_map(struct thread *thread, struct space_range range,
                                uint32_t protection, uint32_t flags, uint64_t offset)
{
    return call(thread, &(struct space_request){OPERATION_MAP, range, protection, flags, offset});
}

enum result isolation_space_unmap(struct thread *thread, struct space_range range, uint32_t flags)
{
    return call(thread, &(struct space_request){OPERATION_UNMAP, range, 0, flags, 0});
}

enum result isolation_space_protect(struct thread *thread, struct space_range range,
                                    uint32_t protection)
{
    return call(thread, &(struct space_request){OPERATION_PROTECT, range, protection, 0, 0});
}

/* ---- another core's thread, a slot of this core */

static enum result execute_asked(core_id_t from, const struct percpu_message *message)
{
    const uint64_t *arguments = message->arguments;
    const struct space_request request = {
        .kind = (uint8_t)message->kind,
        .range = {arguments[1], arguments[2]},
        .protection = (uint32_t)arguments[3],
        .flags = (uint32_t)arguments[4],
        .offset = arguments[5],
    };
    struct cell *cell = space_cell_find(arguments[0]);
    core_id_t owner;
    if (cell == NULL) {
        return RESULT_INVALID;
    }
    TRY(check(cell, &request, &owner));
    return owner.value != percpu_self.value
               ? RESULT_INVALID
               : execute(cell, &request, &(struct space_origin){.from = from, .message = message});
}

static void asked(core_id_t from, const struct percpu_message *message)
{
    enum result result = execute_asked(from, message);
    if (result != SPACE_PENDING) {
        const struct percpu_message reply = {
            .kind = message->kind, .is_reply = 1, .status = result, .token = message->token};
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
