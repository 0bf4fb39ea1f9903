/* SPDX-License-Identifier: Apache-2.0 */
/* map, unmap and protect on a range of one slot. What was never touched is a run of equal lazy
 * entries, which is read, counted and written as a whole; only frames go one by one. */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>

#define LAY_TABLES_MAX 4u /* two at each end of a range */

/* Until the cursor's entry begins at its address and does not reach over the end. */
static enum result split_within(struct table_cursor *cursor, uint64_t end)
{
    while (cursor->level > 1 &&
           (table_begin(cursor) < cursor->address || table_end(cursor) > end)) {
        paddr_t table;
        TRY(percpu_frame_allocate(&table));
        table_split(cursor, table);
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0002~1 */
enum result range_split_to_page(struct table_cursor *cursor)
{
    return split_within(cursor, cursor->address + PAGE_BYTES);
}

/* How many tables are needed so that `edge` lies between two entries (0..2). */
static unsigned tables_at(const struct table_root *root, uint64_t edge)
{
    struct table_cursor cursor;
    table_find(root, edge, &cursor);
    unsigned level = cursor.level;
    while (level > 1 && !IS_ALIGNED(edge, table_span(level))) {
        level--;
    }
    return cursor.level - level;
}

/* From the cursor on, which moves. Bounded: where a whole larger entry is a table, something in it
 * is used and ends the search. */
static bool is_empty(struct table_cursor *cursor, const struct table_root *root, uint64_t end)
{
    while (table_value(cursor) == 0) {
        uint64_t at = table_behind(cursor, table_run(cursor, end));
        if (at >= end) {
            return true;
        }
        table_seek(root, at, cursor);
    }
    return false;
}

/* @impl ATL-LLR-ISOL-0001~1 */
enum result range_lay(const struct table_root *root, uint64_t start, uint64_t end, uint64_t lazy,
                      struct table_cursor *cursor)
{
    table_find(root, start, cursor);
    if (!is_empty(cursor, root, end)) {
        return RESULT_EXISTS;
    }
    uint64_t free = percpu_frames_free_count;
    if (free < LAY_TABLES_MAX && tables_at(root, start) + tables_at(root, end) > free) {
        return RESULT_NO_MEMORY;
    }
    for (uint64_t at = start; at < end;) {
        table_seek(root, at, cursor);
        enum result divided = cursor->level > 1 ? split_within(cursor, end) : RESULT_OK;
        ASSERT(divided == RESULT_OK);
        unsigned count = table_room(cursor, end); /* all of them are empty */
        table_fill(cursor, count, lazy);
        at = table_behind(cursor, count);
    }
    return RESULT_OK;
}

/* ---- map with frames */

/* What range_lay leaves for the frames of a map: nobody touches a reserved page before. */
static enum entry_lazy lazy_of(const struct operation *operation)
{
    return (operation->flags & GATE_MAP_IMAGE) != 0 ? ENTRY_LAZY_RESERVED : ENTRY_LAZY_ZERO;
}

/* Fills the page at the cursor, unless others have changed it meanwhile. */
static enum result populate(struct operation *operation, struct table_cursor *cursor)
{
    if (entry_lazy(table_value(cursor)) != lazy_of(operation)) {
        operation->cursor = MIN(table_end(cursor), operation->end);
        return RESULT_OK;
    }
    enum entry_frame kind = ENTRY_FRAME_IMAGE;
    paddr_t frame = {shared_facts.image_physical +
                     operation->asked.message.arguments[SPACE_OFFSET] +
                     (operation->cursor - operation->start)};
    TRY(cursor->level > 1 ? range_split_to_page(cursor) : RESULT_OK);
    if ((operation->flags & GATE_MAP_IMAGE) == 0) {
        kind = ENTRY_FRAME_OWN;
        TRY(percpu_frame_allocate(&frame));
        physical_page_zero(frame);
    }
    uint32_t rights = entry_rights(table_value(cursor));
    table_set(cursor, rights == 0 ? entry_make_retained(frame, kind)
                                  : entry_make_page(frame, kind, rights, cursor->user));
    operation->cursor += PAGE_BYTES;
    return RESULT_OK;
}

/* A map that lacks a frame has failed, and everything is undone. */
static void undo(struct operation *operation)
{
    operation->result = RESULT_NO_MEMORY;
    operation->kind = PERCPU_MESSAGE_UNMAP;
    operation->flags = 0;
    operation->cursor = operation->start;
}

/* ---- unmap and protect */

static uint64_t with_rights(uint64_t value, uint32_t rights, uint64_t user)
{
    if (!entry_has_frame(value)) {
        return entry_make_lazy(entry_lazy(value), rights);
    }
    if (rights == 0) {
        return entry_make_retained(entry_address(value), entry_frame(value));
    }
    uint64_t page = entry_make_page(entry_address(value), entry_frame(value), rights, user);
    return entry_is_settling(value) ? page & ~(ENTRY_WRITE | ENTRY_DIRTY) : page;
}

static uint64_t value_after(const struct operation *operation, uint64_t value)
{
    if (operation->kind == PERCPU_MESSAGE_PROTECT) {
        return value != 0 ? with_rights(value, operation->rights, operation->root.user) : 0;
    }
    if ((operation->flags & GATE_UNMAP_DISCARD) == 0) {
        return 0;
    }
    return entry_has_frame(value) ? entry_make_lazy(ENTRY_LAZY_ZERO, entry_rights(value)) : value;
}

/* Only lowered rights need a round; a core that meets raised rights with an old translation faults
 * and finds them. */
static bool is_lowered(uint64_t old, uint64_t new)
{
    return !entry_is_present(new) || (old & ~new &ENTRY_WRITE) != 0 ||
           (~old & new &ENTRY_NO_EXECUTE) != 0;
}

/* Writes count equal entries from the cursor on, which lie in the range. Takes out what it
 * displaces, with the tables that become empty. */
static void replace(struct operation *operation, struct table_cursor *cursor, unsigned count,
                    uint64_t new)
{
    uint64_t old = table_value(cursor);
    table_fill(cursor, count, new);
    if (entry_has_frame(old) && !entry_has_frame(new)) {
        /* Retained too: the round of the protect that made it so may be under way. */
        operation_stale(operation, cursor->address, true);
        operation_take_frame(operation, entry_address(old), entry_frame(old));
    } else if (entry_is_present(old)) {
        operation_stale(operation, cursor->address, is_lowered(old, new));
    }
    while (table_is_emptied(cursor)) {
        operation_take_frame(operation, table_remove(cursor), ENTRY_FRAME_OWN);
        operation_stale(operation, cursor->address, true);
    }
}

/* What is alike from the cursor on; steps: how many entries. */
static enum result change(struct operation *operation, struct table_cursor *cursor, unsigned *steps)
{
    uint64_t old = table_value(cursor);
    uint64_t new = value_after(operation, old);
    if (new != old && cursor->level > 1) {
        TRY(split_within(cursor, operation->end));
    }
    unsigned count = entry_has_frame(old) ? 1 : table_run(cursor, operation->end);
    operation->cursor = MIN(table_behind(cursor, count), operation->end);
    if (new != old) {
        replace(operation, cursor, count, new);
    }
    *steps += count;
    return RESULT_OK;
}

/* Makes `edge` a boundary between entries, if something is there. RESULT_NO_MEMORY: the meaning of
 * the tables has not changed. */
static enum result split_at(const struct table_root *root, uint64_t edge)
{
    struct table_cursor cursor;
    if (IS_ALIGNED(edge, table_span(TABLE_LEVEL_TOP))) {
        return RESULT_OK;
    }
    table_find(root, edge, &cursor);
    return table_value(&cursor) == 0 ? RESULT_OK : split_within(&cursor, table_end(&cursor));
}

/* A map lays what it fills. Else both ends before the first change, so that a lack of frames is
 * known while nothing is done. */
static enum result prepare(struct operation *operation, struct table_cursor *cursor)
{
    if (operation->kind == PERCPU_MESSAGE_MAP) {
        bool is_last = (operation->flags & GATE_MAP_LAST) != 0;
        operation->cursor = is_last ? operation->end - PAGE_BYTES : operation->start;
        return range_lay(&operation->root, operation->start, operation->end,
                         entry_make_lazy(lazy_of(operation), operation->rights), cursor);
    }
    table_find(&operation->root, operation->start, cursor);
    if (cursor->level == 1 &&
        operation->end - operation->start <= PAGE_BYTES * table_room(cursor, operation->end)) {
        return RESULT_OK; /* pages of one table */
    }
    cursor->level = 0; /* other cursors change tables */
    TRY(split_at(&operation->root, operation->start));
    return split_at(&operation->root, operation->end);
}

/* @impl ATL-LLR-ISOL-0004~1
 * @impl ATL-LLR-ISOL-0005~1
 * @impl ATL-LLR-ISOL-0006~2
 * @impl ATL-LLR-ISOL-1340~1 */
void range_piece(struct operation *operation)
{
    struct table_cursor cursor = {.level = 0};
    enum result result = operation->is_prepared ? RESULT_OK : prepare(operation, &cursor);
    operation->is_prepared = true;
    for (unsigned steps = 0; result == RESULT_OK && operation->cursor < operation->end &&
                             steps < PIECE_STEPS_MAX &&
                             operation->frame_count + PIECE_FRAMES_SLACK <= PIECE_ENTRIES_MAX;) {
        table_seek(&operation->root, operation->cursor, &cursor);
        if (operation->kind != PERCPU_MESSAGE_MAP) {
            result = change(operation, &cursor, &steps);
        } else if (populate(operation, &cursor) == RESULT_OK) {
            steps += PIECE_STEPS_MAX / PIECE_ENTRIES_MAX;
        } else {
            undo(operation);
        }
    }
    if (result != RESULT_OK) { /* else it may be an undone map, which has failed */
        operation->result = result;
    }
    operation->is_finished = result != RESULT_OK || operation->cursor == operation->end;
}
