/* SPDX-License-Identifier: Apache-2.0 */
/* Faults in slots of this core: its own, and those that other cores ask it to resolve with frames
 * that they give. The asking side is fault_remote.c. */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

/* @impl ATL-LLR-ISOL-0007~1 */
enum fault_class fault_classify(uint64_t entry, enum space_access access)
{
    static const uint32_t needed[] = {
        [SPACE_ACCESS_READ] = GATE_READ,
        [SPACE_ACCESS_WRITE] = GATE_WRITE,
        [SPACE_ACCESS_EXECUTE] = GATE_EXECUTE,
    };
    if ((entry_rights(entry) & needed[access]) == 0) {
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
unsigned fault_window(const struct table_cursor *cursor)
{
    const uint64_t *entry = cursor->entry[1];
    unsigned index = (unsigned)(cursor->address / PAGE_BYTES % TABLE_ENTRIES);
    bool follows = index > 0 && entry_is_present(entry[-1]) &&
                   entry_frame(entry[-1]) != ENTRY_FRAME_IMAGE &&
                   entry_rights(entry[-1]) == entry_rights(*entry);
    unsigned limit = follows ? MIN(FAULT_AROUND_PAGES, TABLE_ENTRIES - index) : 1;
    unsigned count = 1;
    while (count < limit && entry[count] == *entry) {
        count++;
    }
    return count;
}

/* Puts a frame at the n-th page from the cursor's on. */
static void install(const struct table_cursor *first, unsigned n, paddr_t frame,
                    enum entry_frame kind)
{
    struct table_cursor cursor = *first;
    cursor.address += n * PAGE_BYTES;
    cursor.entry[1] += n;
    uint32_t rights = entry_rights(table_value(&cursor));
    table_set(&cursor, entry_make_page(frame, kind, rights, cursor.user));
}

/* @impl ATL-LLR-ISOL-0008~1 */
static enum result fill_own(struct table_cursor *cursor)
{
    TRY(range_split_to_page(cursor));
    unsigned count = fault_window(cursor);
    for (unsigned n = 0; n < count; n++) {
        paddr_t frame;
        enum result result = percpu_frame_allocate(&frame);
        if (result != RESULT_OK) {
            return n == 0 ? result : RESULT_OK; /* the page that is needed is there */
        }
        physical_page_zero(frame);
        install(cursor, n, frame, ENTRY_FRAME_OWN);
    }
    return RESULT_OK;
}

/* The frames of another core, count from first on; *used tells how many went in. */
static enum result fill_donated(struct table_cursor *cursor, paddr_t first, uint32_t count,
                                uint32_t *used)
{
    TRY(range_split_to_page(cursor));
    uint64_t lazy = table_value(cursor);
    unsigned room = TABLE_ENTRIES - (unsigned)(cursor->address / PAGE_BYTES % TABLE_ENTRIES);
    unsigned limit = MIN(count, room);
    for (unsigned n = 0; n < limit && cursor->entry[1][n] == lazy; n++) {
        install(cursor, n, (paddr_t){first.value + n * PAGE_BYTES}, ENTRY_FRAME_FOREIGN);
        *used = n + 1;
    }
    return RESULT_OK;
}

/* ---- writes to image pages: a copy, read-only at first so that it does not matter who still reads
 * the original; then a round; then the right to write */

/* The frame that replaces the image page, with its contents. */
static enum result copy_frame(struct operation *operation, paddr_t image, paddr_t *frame,
                              enum entry_frame *kind)
{
    if (operation->thread == NULL) {
        if (operation->donated.value == 0 || operation->offset != image.value) {
            return RESULT_AGAIN; /* no longer the page that the requester copied */
        }
        *frame = operation->donated;
        *kind = ENTRY_FRAME_FOREIGN;
        operation->used = 1;
        return RESULT_OK;
    }
    TRY(percpu_frame_allocate(frame));
    physical_page_copy(*frame, image);
    *kind = ENTRY_FRAME_OWN;
    return RESULT_OK;
}

static enum result replace_image(struct operation *operation, struct table_cursor *cursor)
{
    uint64_t value = table_value(cursor);
    paddr_t frame;
    enum entry_frame kind;
    TRY(copy_frame(operation, entry_address(value), &frame, &kind));
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
    enum fault_class class = fault_classify(table_value(&cursor), SPACE_ACCESS_WRITE);
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

static struct operation *settle_allocate(struct cell *cell, uint64_t page)
{
    const struct space_request request = {.kind = OPERATION_FAULT, .range = {page, PAGE_BYTES}};
    return operation_allocate(cell, &request);
}

static enum result settle_own(struct thread *thread, uint64_t page)
{
    struct operation *operation = settle_allocate(thread->cell, page);
    if (operation == NULL) {
        operation_await_free(thread);
        return SPACE_PENDING;
    }
    return operation_start(operation, thread);
}

static enum result fault_own(struct thread *thread, uint64_t page, enum space_access access)
{
    struct table_root root = space_root(thread->cell, page);
    struct table_cursor cursor;
    table_find(&root, page, &cursor);
    switch (fault_classify(table_value(&cursor), access)) {
    case FAULT_VIOLATION:
        return RESULT_FAULT;
    case FAULT_ZERO:
        return fill_own(&cursor);
    case FAULT_COPY:
    case FAULT_SETTLE:
        return settle_own(thread, page);
    case FAULT_STALE:
        break;
    }
    percpu_operation_invalidate(page, PAGE_BYTES);
    return RESULT_OK;
}

static void memory_answered(struct thread *thread, const struct percpu_message *message)
{
    fault_verdict_keep(thread, message->status);
    percpu_thread_ready(thread);
}

/* No frame here: asks the other cores for a block; the access is then repeated. */
static enum result await_memory(struct thread *thread, uint64_t key)
{
    if (percpu_core_count == 1) {
        return RESULT_NO_MEMORY;
    }
    thread->work[WORK_FAULT] = key;
    percpu_thread_wait(thread, memory_answered);
    enum result asked = percpu_frames_grant_request(thread);
    ASSERT(asked == RESULT_OK);
    return SPACE_PENDING;
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
    enum result result = owner.value == percpu_self.value ? fault_own(thread, page, access)
                                                          : fault_ask_owner(thread, page, access);
    return result == RESULT_NO_MEMORY ? await_memory(thread, key) : result;
}

/* ---- other cores' faults in slots of this core */

struct asked {
    struct cell *cell;
    uint64_t page;
    enum space_access access;
    paddr_t first; /* frames that came along */
    uint32_t count;
    paddr_t copy_of; /* the image page of which the first is a copy, or 0 */
};

static bool asked_read(const struct percpu_message *request, struct asked *asked)
{
    asked->cell = space_cell_find(request->arguments[0]);
    asked->page = request->arguments[1];
    asked->access = (enum space_access)request->arguments[2];
    asked->first.value = ALIGN_DOWN(request->arguments[3], PAGE_BYTES);
    asked->count = (uint32_t)(request->arguments[3] % PAGE_BYTES);
    asked->copy_of.value = request->arguments[4];
    core_id_t owner;
    return asked->cell != NULL && asked->access <= SPACE_ACCESS_EXECUTE &&
           isolation_slot_owner(asked->cell, asked->page, &owner) == RESULT_OK &&
           owner.value == percpu_self.value;
}

static enum result settle_asked(core_id_t from, const struct percpu_message *request,
                                const struct asked *asked, uint32_t *used)
{
    struct operation *operation = settle_allocate(asked->cell, asked->page);
    if (operation == NULL) {
        return RESULT_AGAIN;
    }
    operation->from = from;
    operation->request = *request;
    operation->donated = asked->copy_of.value != 0 ? asked->first : (paddr_t){0};
    operation->offset = asked->copy_of.value;
    enum result result = operation_start(operation, NULL);
    *used = operation->used; /* the record's contents stay until it is given out again */
    return result;
}

/* @impl ATL-LLR-ISOL-0012~1 */
static enum result resolve_asked(core_id_t from, const struct percpu_message *request,
                                 const struct asked *asked, struct percpu_message *reply)
{
    struct table_root root = space_root(asked->cell, asked->page);
    struct table_cursor cursor;
    uint32_t used = 0;
    enum result result = RESULT_OK;
    table_find(&root, asked->page, &cursor);
    uint64_t value = table_value(&cursor);
    switch (fault_classify(value, asked->access)) {
    case FAULT_VIOLATION:
        return RESULT_FAULT;
    case FAULT_STALE:
        return RESULT_OK;
    case FAULT_ZERO:
        if (asked->copy_of.value == 0) { /* else: what came along is not zero; asked again */
            result = fill_donated(&cursor, asked->first, asked->count, &used);
        }
        break;
    case FAULT_COPY:
        if (asked->copy_of.value != entry_address(value).value) {
            reply->arguments[1] = entry_address(value).value;
            return RESULT_OK;
        }
        result = settle_asked(from, request, asked, &used);
        break;
    case FAULT_SETTLE:
        result = settle_asked(from, request, asked, &used);
        break;
    }
    reply->arguments[0] = used;
    return result;
}

static void fault_asked(core_id_t from, const struct percpu_message *request)
{
    struct percpu_message reply = {.kind = request->kind, .is_reply = 1, .token = request->token};
    struct asked asked;
    enum result result = RESULT_FAULT;
    if (asked_read(request, &asked)) {
        result = resolve_asked(from, request, &asked, &reply);
    }
    if (result != SPACE_PENDING) {
        reply.status = result;
        percpu_channel_reply(from, &reply);
    }
}

void fault_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_FAULT, fault_asked);
}
