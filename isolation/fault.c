/* SPDX-License-Identifier: Apache-2.0 */
/* Faults in slots of this core: its own, and those that other cores ask it to resolve with frames
 * that they give. And the asking side: the owner of the slot is asked, with frames of this core
 * already zeroed; it answers how many it has mapped, or which image page the first must be a copy
 * of. The frames stay this core's while they travel (thread->work). */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

#define FAULT_AROUND_PAGES 16u /* that a fault brings at most */

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
    TRY(cursor->level > 1 ? range_split_to_page(cursor) : RESULT_OK);
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

/* ---- threads of this core, in slots of other cores */

/* The page behind the last one that was filled in a foreign slot: the next fault there brings more
 * than one frame. */
static PERCORE uint64_t expected_next;

static void fault_continue(struct thread *thread, const struct percpu_message *reply);

static enum result allocate_frames(uint32_t wanted, uint64_t *frames)
{
    paddr_t first;
    if (wanted == 1 || percpu_frame_run_allocate(wanted, &first) != RESULT_OK) {
        TRY(percpu_frame_allocate(&first));
        wanted = 1;
    }
    for (uint32_t n = 0; n < wanted; n++) {
        physical_page_zero((paddr_t){first.value + n * PAGE_BYTES});
    }
    *frames = first.value | wanted;
    return RESULT_OK;
}

/* Frees the frames that travelled with the thread's fault, but the first `keep`. */
static void free_frames(struct thread *thread, uint64_t keep)
{
    uint64_t first = ALIGN_DOWN(thread->work[WORK_FRAMES], PAGE_BYTES);
    uint64_t count = thread->work[WORK_FRAMES] % PAGE_BYTES;
    for (uint64_t n = keep; n < count; n++) {
        percpu_frame_free((paddr_t){first + n * PAGE_BYTES});
    }
    thread->work[WORK_FRAMES] = 0;
}

/* The thread WAITs for what the owner of the slot answers. */
static void ask(struct thread *thread)
{
    const struct cell *cell = thread->cell;
    struct percpu_message request = {
        .kind = PERCPU_MESSAGE_FAULT,
        .arguments = {cell->id, ALIGN_DOWN(thread->work[WORK_FAULT], PAGE_BYTES),
                      thread->work[WORK_FAULT] % PAGE_BYTES, thread->work[WORK_FRAMES],
                      thread->work[WORK_IMAGE]},
    };
    percpu_channel_call(isolation_slot_owner(thread->work[WORK_FAULT]), &request, thread,
                        fault_continue);
}

/* key: page | access. RESULT_NO_MEMORY: no frame here to give. Else SPACE_PENDING.
 *
 * @impl ATL-LLR-ISOL-0013~1 */
static enum result ask_owner(struct thread *thread, uint64_t key)
{
    bool is_next = ALIGN_DOWN(key, PAGE_BYTES) == expected_next;
    thread->work[WORK_FAULT] = key;
    thread->work[WORK_IMAGE] = 0;
    TRY(allocate_frames(is_next ? FAULT_AROUND_PAGES : 1, &thread->work[WORK_FRAMES]));
    ask(thread);
    return SPACE_PENDING;
}

static void copy_image(struct thread *thread, paddr_t image)
{
    ASSERT(physical_is_image(image) && thread->work[WORK_FRAMES] % PAGE_BYTES > 0);
    uint64_t first = ALIGN_DOWN(thread->work[WORK_FRAMES], PAGE_BYTES);
    free_frames(thread, 1);
    physical_page_copy((paddr_t){first}, image);
    thread->work[WORK_FRAMES] = first | 1;
    thread->work[WORK_IMAGE] = image.value;
}

/* A failure that comes while the thread WAITs is told when it repeats the access: only then is it
 * in a call or a trap that can report it. */
static void answered(struct thread *thread, const struct percpu_message *message)
{
    if (message->status != RESULT_OK && message->status != RESULT_AGAIN) {
        thread->work[WORK_VERDICT] = (uint64_t)(int64_t)message->status;
        thread->work[WORK_VERDICT_AT] = thread->work[WORK_FAULT];
        thread->work[WORK_VERDICT_RIP] = thread->frame.rip;
    }
    percpu_thread_ready(thread);
}

/* RESULT_OK: none for that access (page | access). */
static enum result verdict_take(struct thread *thread, uint64_t key)
{
    enum result verdict = (enum result)(int64_t)thread->work[WORK_VERDICT];
    bool is_same =
        thread->work[WORK_VERDICT_AT] == key && thread->work[WORK_VERDICT_RIP] == thread->frame.rip;
    thread->work[WORK_VERDICT] = 0;
    return is_same ? verdict : RESULT_OK;
}

static void fault_continue(struct thread *thread, const struct percpu_message *reply)
{
    if (reply == NULL) {
        ask(thread);
        return;
    }
    uint64_t used = reply->arguments[SPACE_USED];
    uint64_t image = reply->arguments[SPACE_COPY_OF];
    if (reply->status == RESULT_OK && image != thread->work[WORK_IMAGE]) {
        copy_image(thread, (paddr_t){image});
        ask(thread);
        return;
    }
    ASSERT(used <= thread->work[WORK_FRAMES] % PAGE_BYTES);
    if (used > 0) {
        expected_next = ALIGN_DOWN(thread->work[WORK_FAULT], PAGE_BYTES) + used * PAGE_BYTES;
    }
    free_frames(thread, used);
    answered(thread, reply);
}

/* ---- threads of this core */

enum result isolation_space_fault(struct thread *thread, uint64_t address, enum space_access access)
{
    uint64_t page = ALIGN_DOWN(address, PAGE_BYTES);
    uint64_t key = page | (uint64_t)access;
    if (address < GATE_USER_FLOOR || !isolation_is_shared(thread->cell, address)) {
        return RESULT_FAULT;
    }
    TRY(verdict_take(thread, key));
    struct space_asked asked = {
        .cell = thread->cell,
        .thread = thread,
        .message = {.kind = PERCPU_MESSAGE_FAULT,
                    .arguments = {[SPACE_ADDRESS] = page, [SPACE_ACCESS] = access}},
    };
    bool is_own = isolation_slot_owner(address).value == percpu_self.value;
    enum result result = is_own ? fault_resolve(&asked) : ask_owner(thread, key);
    if (result == RESULT_NO_MEMORY) {
        thread->work[WORK_FAULT] = key;
        return space_await_memory(thread, answered);
    }
    return result;
}
