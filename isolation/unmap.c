/* SPDX-License-Identifier: Apache-2.0 */
/* unmap: takes entries out, or makes them lazy again, piece by piece. */
#include "space.h"

static uint64_t value_after(const struct operation *operation, uint64_t value)
{
    if ((operation->flags & GATE_UNMAP_DISCARD) == 0) {
        return 0;
    }
    return entry_lazy(value) == ENTRY_LAZY_ZERO || entry_lazy(value) == ENTRY_LAZY_RESERVED
               ? value
               : entry_make_lazy(ENTRY_LAZY_ZERO, entry_rights(value));
}

/* The entry lies in the range. */
static void take_out(struct operation *operation, struct table_cursor *cursor)
{
    uint64_t value = table_value(cursor);
    bool has_frame = entry_is_present(value) || entry_lazy(value) == ENTRY_LAZY_RETAINED;
    table_set(cursor, value_after(operation, value));
    if (has_frame) {
        /* Retained too: the round of the protect that made it so may be under way. */
        operation_stale(operation, table_begin(cursor), true);
        operation_take_frame(operation, entry_address(value), entry_frame(value));
    }
    if (table_is_emptied(cursor)) {
        operation_prune(operation, cursor);
    }
}

/* @impl ATL-LLR-ISOL-0005~1 */
static enum result unmap_steps(struct operation *operation)
{
    struct table_cursor cursor = {.level = 0};
    for (unsigned n = 0;
         n < PIECE_STEPS_MAX && operation->cursor < operation->end && operation_has_room(operation);
         n++) {
        table_seek(&operation->root, operation->cursor, &cursor);
        if (table_value(&cursor) != 0) {
            while (table_begin(&cursor) < operation->cursor ||
                   table_end(&cursor) > operation->end) {
                TRY(space_split(&cursor));
            }
            take_out(operation, &cursor);
        }
        operation->cursor = MIN(table_end(&cursor), operation->end);
    }
    return RESULT_OK;
}

static enum result prepare(struct operation *operation)
{
    if (!operation->is_prepared) {
        TRY(space_split_at(operation->root, operation->start));
        TRY(space_split_at(operation->root, operation->end));
        operation->is_prepared = true;
    }
    return RESULT_OK;
}

void unmap_piece(struct operation *operation)
{
    enum result result = prepare(operation);
    if (result == RESULT_OK) {
        result = unmap_steps(operation);
    }
    if (result != RESULT_OK) {
        operation->result = result;
    }
    operation->is_finished = result != RESULT_OK || operation->cursor == operation->end;
}
