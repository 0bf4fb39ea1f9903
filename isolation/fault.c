/* SPDX-License-Identifier: Apache-2.0 */
/* Faults in slots of this core: its own, and those that other cores ask it to resolve with frames
 * that they give. The asking side is fault_remote.c. */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

/* What an access to an entry means. */
enum fault_class {
    FAULT_VIOLATION, /* no such right */
    FAULT_STALE,     /* allowed now: the core used an old translation */
    FAULT_ZERO,      /* lazy: a zeroed frame goes there */
    FAULT_COPY,      /* write to an image page: a copy goes there */
    FAULT_SETTLE,    /* write to a fresh copy: a round must precede it */
};

/* A fault on a page of this core's slots: of a thread of this core, or of another core's, which
 * asks with frames that it gives. */
struct fault {
    struct cell *cell;
    uint64_t page;
    enum space_access access;
    struct space_origin origin;
    /* of another core */
    uint64_t token;
    paddr_t first; /* frames that came along */
    uint32_t count;
    paddr_t copy_of; /* the image page of which the first is a copy, or 0 */
    uint32_t used;   /* answer: how many of them are mapped */
    paddr_t image;   /* answer: the first must be a copy of this image page */
};

/* @impl ATL-LLR-ISOL-0007~1 */
static enum fault_class classify(uint64_t entry, enum space_access access)
{
    if ((entry_rights(entry) & (uint32_t)access) == 0) {
        return FAULT_VIOLATION;
    }
    if (!entry_is_present(entry)) {
        return entry_lazy(entry) == ENTRY_LAZY_ZERO ? FAULT_ZERO : FAULT_VIOLATION;
    }
    if (access != SPACE_ACCESS_WRITE || (entry & ENTRY_WRITE) != 0) {
        return FAULT_STALE;
    }
    return entry_frame(entry) == ENTRY_FRAME_IMAGE ? FAULT_COPY : FAULT_SETTLE;
}

/* Memory is mostly touched upwards: a page whose predecessor is in use brings its successors. */
static unsigned window(const struct table_cursor *cursor)
{
    const uint64_t *entry = cursor->entry[1];
    bool follows = cursor->address % table_span(2) != 0 && entry_is_present(entry[-1]) &&
                   entry_frame(entry[-1]) != ENTRY_FRAME_IMAGE &&
                   entry_rights(entry[-1]) == entry_rights(*entry);
    return follows ? FAULT_AROUND_PAGES : 1;
}

/* Own frames, zeroed, or the frames of another core, into the page and those behind that are like
 * it.
 *
 * @impl ATL-LLR-ISOL-0008~1
 * @impl ATL-LLR-ISOL-0012~1 */
static enum result fill(struct fault *fault, struct table_cursor *cursor)
{
    TRY(range_split_to_page(cursor));
    bool is_own = fault->origin.thread != NULL;
    unsigned limit = is_own ? window(cursor) : fault->count;
    unsigned count = MIN(limit, table_run(cursor, fault->page + limit * PAGE_BYTES));
    uint32_t rights = entry_rights(table_value(cursor));
    for (; fault->used < count; fault->used++) {
        paddr_t frame = {fault->first.value + fault->used * PAGE_BYTES};
        if (is_own) {
            enum result result = percpu_frame_allocate(&frame);
            if (result != RESULT_OK) {
                return fault->used == 0 ? result : RESULT_OK; /* what is needed is there */
            }
            physical_page_zero(frame);
        }
        enum entry_frame kind = is_own ? ENTRY_FRAME_OWN : ENTRY_FRAME_FOREIGN;
        table_set(cursor, entry_make_page(frame, kind, rights, cursor->user));
        cursor->entry[1]++;
    }
    return RESULT_OK;
}

/* ---- writes to image pages: a copy, read-only at first so that it does not matter who still reads
 * the original; then a round; then the right to write */

static enum result replace_image(struct operation *operation, struct table_cursor *cursor)
{
    uint64_t value = table_value(cursor);
    paddr_t image = entry_address(value), frame = operation->donated;
    enum entry_frame kind = ENTRY_FRAME_FOREIGN;
    if (operation->thread != NULL) {
        kind = ENTRY_FRAME_OWN;
        TRY(percpu_frame_allocate(&frame));
        physical_page_copy(frame, image);
    } else if (frame.value == 0 || operation->offset != image.value) {
        return RESULT_AGAIN; /* no longer the page that the requester copied */
    } else {
        operation->used = 1;
    }
    uint64_t page = entry_make_page(frame, kind, entry_rights(value), cursor->user);
    table_set(cursor, page & ~(ENTRY_WRITE | ENTRY_DIRTY));
    return RESULT_OK;
}

/* First piece: the copy goes in, read-only, and the round begins. Second: it may be written, unless
 * others have changed the entry, which the repeated fault will find.
 * @impl ATL-LLR-ISOL-0009~1 */
void fault_piece(struct operation *operation)
{
    struct table_cursor cursor;
    table_find(&operation->root, operation->start, &cursor);
    enum fault_class class = classify(table_value(&cursor), SPACE_ACCESS_WRITE);
    if (operation->is_prepared || (class != FAULT_COPY && class != FAULT_SETTLE)) {
        if (operation->is_prepared && class == FAULT_SETTLE) {
            table_set(&cursor, table_value(&cursor) | ENTRY_WRITE | ENTRY_DIRTY);
            operation_stale(operation, operation->start, false);
        }
        operation->is_finished = true;
        return;
    }
    if (class == FAULT_COPY) {
        operation->result = replace_image(operation, &cursor);
        operation->is_finished = operation->result != RESULT_OK;
    }
    if (!operation->is_finished) {
        operation->is_prepared = true;
        operation_stale(operation, operation->start, true);
    }
}

static enum result settle(struct fault *fault)
{
    const struct percpu_message request = {
        .kind = OPERATION_FAULT,
        .token = fault->token,
        .arguments = {[SPACE_ADDRESS] = fault->page,
                      [SPACE_BYTES] = PAGE_BYTES,
                      [SPACE_OFFSET] = fault->copy_of.value},
    };
    struct operation *operation;
    TRY(operation_begin(fault->cell, &request, fault->origin, &operation));
    operation->donated = fault->copy_of.value != 0 ? fault->first : (paddr_t){0};
    return operation_start(operation);
}

static enum result resolve(struct fault *fault)
{
    struct table_root root = space_root(fault->cell, fault->page);
    struct table_cursor cursor;
    table_find(&root, fault->page, &cursor);
    uint64_t value = table_value(&cursor);
    bool is_own = fault->origin.thread != NULL;
    switch (classify(value, fault->access)) {
    case FAULT_VIOLATION:
        return RESULT_FAULT;
    case FAULT_ZERO:
        /* A copy that came along is not zero: nothing is used, and the fault comes again. */
        return fault->copy_of.value == 0 ? fill(fault, &cursor) : RESULT_OK;
    case FAULT_COPY:
        if (!is_own && fault->copy_of.value != entry_address(value).value) {
            fault->image = entry_address(value);
            return RESULT_OK;
        }
        return settle(fault);
    case FAULT_SETTLE:
        return settle(fault);
    case FAULT_STALE:
        break;
    }
    if (is_own) {
        percpu_operation_invalidate(fault->page, PAGE_BYTES);
    }
    return RESULT_OK;
}

static void memory_answered(struct thread *thread, const struct percpu_message *message)
{
    fault_verdict_keep(thread, message->status);
    percpu_thread_ready(thread);
}

enum result isolation_space_fault(struct thread *thread, uint64_t address, enum space_access access)
{
    core_id_t owner;
    uint64_t page = ALIGN_DOWN(address, PAGE_BYTES);
    uint64_t key = page | (uint64_t)access;
    if (address < USER_FLOOR || isolation_slot_owner(thread->cell, address, &owner) != RESULT_OK) {
        return RESULT_FAULT;
    }
    TRY(fault_verdict_take(thread, key));
    enum result result =
        owner.value != percpu_self.value
            ? fault_ask_owner(thread, page, access)
            : resolve(&(struct fault){thread->cell, page, access, .origin = {.thread = thread}});
    if (result == RESULT_NO_MEMORY) {
        thread->work[WORK_FAULT] = key;
        return space_await_memory(thread, memory_answered);
    }
    return result;
}

/* ---- other cores' faults in slots of this core */

static void fault_asked(core_id_t from, const struct percpu_message *request)
{
    const uint64_t *arguments = request->arguments;
    struct fault fault = {
        .cell = space_cell_find(arguments[0]),
        .page = arguments[1],
        .access = (enum space_access)arguments[2],
        .origin = {.from = from},
        .token = request->token,
        .first = {ALIGN_DOWN(arguments[3], PAGE_BYTES)},
        .count = (uint32_t)(arguments[3] % PAGE_BYTES),
        .copy_of = {arguments[4]},
    };
    core_id_t owner;
    bool is_ours = fault.cell != NULL && arguments[2] <= SPACE_ACCESS_EXECUTE &&
                   isolation_slot_owner(fault.cell, fault.page, &owner) == RESULT_OK &&
                   owner.value == percpu_self.value;
    enum result result = is_ours ? resolve(&fault) : RESULT_FAULT;
    if (result != SPACE_PENDING) {
        const struct percpu_message reply = {.kind = request->kind,
                                             .is_reply = 1,
                                             .status = result,
                                             .token = request->token,
                                             .arguments = {fault.used, fault.image.value}};
        percpu_channel_reply(from, &reply);
    }
}

void fault_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_FAULT, fault_asked);
}
