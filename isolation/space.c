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

static bool is_in_one_slot(const struct cell *cell, struct space_range range)
{
    core_id_t owner;
    return IS_ALIGNED(range.address | range.bytes, PAGE_BYTES) && range.bytes > 0 &&
           range.bytes <= GATE_SLOT_BYTES && range.address >= USER_FLOOR &&
           isolation_slot_owner(cell, range.address, &owner) == RESULT_OK &&
           range.address / GATE_SLOT_BYTES == (range.address + range.bytes - 1) / GATE_SLOT_BYTES;
}

static bool is_in_image(const struct space_request *request)
{
    uint64_t bytes = ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES);
    return IS_ALIGNED(request->offset, PAGE_BYTES) && request->offset <= bytes &&
           request->range.bytes <= bytes - request->offset;
}

/* @impl ATL-LLR-ISOL-0014~1
 * @impl ATL-LLR-ISOL-0015~1 */
enum result space_request_check(const struct cell *cell, const struct space_request *request)
{
    static const uint32_t flags_known[] = {
        [OPERATION_MAP] = GATE_MAP_POPULATE | GATE_MAP_IMAGE,
        [OPERATION_UNMAP] = GATE_UNMAP_DISCARD,
        [OPERATION_PROTECT] = 0,
    };
    const uint32_t image_populated = GATE_MAP_POPULATE | GATE_MAP_IMAGE;
    if (!is_in_one_slot(cell, request->range) ||
        (request->flags & ~flags_known[request->kind]) != 0 ||
        (request->protection & ~ENTRY_RIGHTS_ALL) != 0) {
        return RESULT_INVALID;
    }
    if (request->kind == OPERATION_MAP && (request->flags & GATE_MAP_IMAGE) != 0 &&
        ((request->flags & image_populated) == image_populated || !is_in_image(request))) {
        return RESULT_INVALID;
    }
    const uint32_t write_execute = GATE_WRITE | GATE_EXECUTE;
    if ((request->protection & write_execute) == write_execute && !cell->allow_write_execute) {
        return RESULT_ACCESS;
    }
    return RESULT_OK;
}

static enum result lay(struct cell *cell, const struct space_request *request)
{
    bool is_image = (request->flags & GATE_MAP_IMAGE) != 0;
    return range_lay(space_root(cell, request->range.address), request->range,
                     entry_make_lazy(is_image ? ENTRY_LAZY_RESERVED : ENTRY_LAZY_ZERO,
                                     entry_rights_effective(request->protection)));
}

/* Who asks: a thread of this core, or, with NULL, another core by a message, which is sent a reply
 * when SPACE_PENDING is returned. */
struct space_origin {
    struct thread *thread;
    core_id_t from;
    const struct percpu_message *message;
};

/* Does the operation on this core, which owns the slot. */
static enum result execute(struct cell *cell, const struct space_request *request,
                           const struct space_origin *origin)
{
    bool is_map = request->kind == OPERATION_MAP;
    if (is_map && request->flags == 0) {
        return lay(cell, request);
    }
    struct operation *operation = operation_allocate(cell, request);
    if (operation == NULL) {
        if (origin->thread == NULL) {
            return RESULT_AGAIN;
        }
        origin->thread->resume = RESUME_RESTART;
        operation_await_free(origin->thread);
        return SPACE_PENDING;
    }
    enum result result = is_map ? lay(cell, request) : RESULT_OK;
    if (result != RESULT_OK) {
        operation_cancel(operation);
        return result;
    }
    operation->protection = entry_rights_effective(request->protection);
    if (origin->thread == NULL) {
        operation->from = origin->from;
        operation->request = *origin->message;
    }
    return operation_start(operation, origin->thread);
}

/* ---- a thread of this core, a slot of another */

static const uint16_t message_kinds[] = {
    [OPERATION_MAP] = PERCPU_MESSAGE_MAP,
    [OPERATION_UNMAP] = PERCPU_MESSAGE_UNMAP,
    [OPERATION_PROTECT] = PERCPU_MESSAGE_PROTECT,
};

static void call_complete(struct thread *thread, const struct percpu_message *reply)
{
    if (reply == NULL || reply->status == RESULT_AGAIN) {
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
        .kind = message_kinds[request->kind],
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

static void memory_answered(struct thread *thread, const struct percpu_message *message)
{
    if (message->status == RESULT_OK) {
        thread->resume = RESUME_RESTART;
        percpu_thread_ready(thread);
        return;
    }
    call_complete(thread, message);
}

/* Nothing has changed for want of a frame: asks the other cores for a block, then repeats the call.
 */
static enum result await_memory(struct thread *thread)
{
    if (percpu_core_count == 1) {
        return RESULT_NO_MEMORY;
    }
    percpu_thread_wait(thread, memory_answered);
    enum result asked = percpu_frames_grant_request(thread);
    ASSERT(asked == RESULT_OK);
    return SPACE_PENDING;
}

static enum result call_here(struct thread *thread, const struct space_request *request)
{
    enum result result =
        thread->work[WORK_OPERATION] != 0
            ? operation_resume(thread)
            : execute(thread->cell, request, &(struct space_origin){.thread = thread});
    return result == RESULT_NO_MEMORY ? await_memory(thread) : result;
}

static enum result call(struct thread *thread, const struct space_request *request)
{
    thread->work[WORK_VERDICT] = 0;
    core_id_t owner;
    TRY(space_request_check(thread->cell, request));
    TRY(isolation_slot_owner(thread->cell, request->range.address, &owner));
    return owner.value == percpu_self.value ? call_here(thread, request)
                                            : call_owner(thread, owner, request);
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

static void requested(core_id_t from, const struct percpu_message *message,
                      enum operation_kind kind)
{
    const uint64_t *arguments = message->arguments;
    const struct space_request request = {
        .kind = (uint8_t)kind,
        .range = {arguments[1], arguments[2]},
        .protection = (uint32_t)arguments[3],
        .flags = (uint32_t)arguments[4],
        .offset = arguments[5],
    };
    struct cell *cell = space_cell_find(arguments[0]);
    enum result result = RESULT_INVALID;
    if (cell != NULL) {
        result = space_request_check(cell, &request);
    }
    core_id_t owner = {0};
    if (result == RESULT_OK) {
        result = isolation_slot_owner(cell, request.range.address, &owner);
    }
    if (result == RESULT_OK && owner.value != percpu_self.value) {
        result = RESULT_INVALID;
    }
    if (result == RESULT_OK) {
        result = execute(cell, &request, &(struct space_origin){.from = from, .message = message});
    }
    if (result != SPACE_PENDING) {
        const struct percpu_message reply = {
            .kind = message->kind, .is_reply = 1, .status = result, .token = message->token};
        percpu_channel_reply(from, &reply);
    }
}

static void map_requested(core_id_t from, const struct percpu_message *message)
{
    requested(from, message, OPERATION_MAP);
}

static void unmap_requested(core_id_t from, const struct percpu_message *message)
{
    requested(from, message, OPERATION_UNMAP);
}

static void protect_requested(core_id_t from, const struct percpu_message *message)
{
    requested(from, message, OPERATION_PROTECT);
}

void space_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_MAP, map_requested);
    percpu_channel_handle(PERCPU_MESSAGE_UNMAP, unmap_requested);
    percpu_channel_handle(PERCPU_MESSAGE_PROTECT, protect_requested);
    operation_register_handlers();
    fault_register_handlers();
}
