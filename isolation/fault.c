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

/* @impl ATL-LLR-ISOL-0007~1 */
static enum fault_class classify(uint64_t entry, uint64_t access)
{
    if (access > SPACE_ACCESS_EXECUTE || (entry_rights(entry) & access) == 0) {
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
static enum result fill(struct space_asked *asked, struct table_cursor *cursor)
{
    TRY(range_split_to_page(cursor));
    bool is_own = asked->thread != NULL;
    uint64_t given = asked->message.arguments[SPACE_FRAMES];
    uint64_t *used = &asked->message.arguments[SPACE_USED];
    unsigned limit = is_own ? window(cursor) : (unsigned)(given % PAGE_BYTES);
    unsigned count = MIN(limit, table_run(cursor, cursor->address + limit * PAGE_BYTES));
    uint32_t rights = entry_rights(table_value(cursor));
    for (; *used < count; (*used)++) {
        paddr_t frame = {ALIGN_DOWN(given, PAGE_BYTES) + *used * PAGE_BYTES};
        if (is_own) {
            enum result result = percpu_frame_allocate(&frame);
            if (result != RESULT_OK) {
                return *used == 0 ? result : RESULT_OK; /* what is needed is there */
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

static enum result replace_image(struct space_asked *asked, struct table_cursor *cursor)
{
    uint64_t *arguments = asked->message.arguments;
    uint64_t value = table_value(cursor);
    paddr_t image = entry_address(value), frame = {ALIGN_DOWN(arguments[SPACE_FRAMES], PAGE_BYTES)};
    enum entry_frame kind = ENTRY_FRAME_FOREIGN;
    if (asked->thread != NULL) {
        kind = ENTRY_FRAME_OWN;
        TRY(percpu_frame_allocate(&frame));
        physical_page_copy(frame, image);
    } else if (arguments[SPACE_COPY_OF] != image.value) {
        return RESULT_AGAIN; /* no longer the page that the requester copied */
    } else {
        arguments[SPACE_USED] = 1;
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
    bool is_second = operation->is_prepared;
    operation->is_prepared = true;
    operation->is_finished = is_second || (class != FAULT_COPY && class != FAULT_SETTLE);
    if (is_second && class == FAULT_SETTLE) {
        table_set(&cursor, table_value(&cursor) | ENTRY_WRITE | ENTRY_DIRTY);
        operation_stale(operation, operation->start, false);
    } else if (!is_second && class == FAULT_COPY) {
        operation->result = replace_image(&operation->asked, &cursor);
        operation->is_finished = operation->result != RESULT_OK;
    }
    if (!operation->is_finished) {
        operation_stale(operation, operation->start, true);
    }
}

enum result fault_resolve(struct space_asked *asked)
{
    uint64_t *arguments = asked->message.arguments;
    uint64_t page = arguments[SPACE_ADDRESS];
    struct table_root root = space_root(asked->cell, page);
    struct table_cursor cursor;
    table_find(&root, page, &cursor);
    uint64_t value = table_value(&cursor);
    bool is_own = asked->thread != NULL;
    switch (classify(value, arguments[SPACE_ACCESS])) {
    case FAULT_VIOLATION:
        return RESULT_FAULT;
    case FAULT_ZERO:
        /* A copy that came along is not zero: nothing is used, and the fault comes again. */
        return arguments[SPACE_COPY_OF] == 0 ? fill(asked, &cursor) : RESULT_OK;
    case FAULT_COPY:
        if (!is_own && arguments[SPACE_COPY_OF] != entry_address(value).value) {
            arguments[SPACE_COPY_OF] = entry_address(value).value;
            return RESULT_OK;
        }
        return operation_run(asked);
    case FAULT_SETTLE:
        return operation_run(asked);
    case FAULT_STALE:
        break;
    }
    if (is_own) {
        percpu_operation_invalidate(page, PAGE_BYTES);
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
    uint64_t page = ALIGN_DOWN(address, PAGE_BYTES);
    uint64_t key = page | (uint64_t)access;
    if (address < GATE_USER_FLOOR || !isolation_is_shared(thread->cell, address)) {
        return RESULT_FAULT;
    }
    TRY(fault_verdict_take(thread, key));
    struct space_asked asked = {
        .cell = thread->cell,
        .thread = thread,
        .message = {.kind = PERCPU_MESSAGE_FAULT,
                    .arguments = {[SPACE_ADDRESS] = page, [SPACE_ACCESS] = access}},
    };
    bool is_own = isolation_slot_owner(address).value == percpu_self.value;
    enum result result = is_own ? fault_resolve(&asked) : fault_ask_owner(thread, key);
    if (result == RESULT_NO_MEMORY) {
        thread->work[WORK_FAULT] = key;
        return space_await_memory(thread, memory_answered);
    }
    return result;
}
