/* SPDX-License-Identifier: Apache-2.0 */
/* protect: looks for holes first, then changes rights, piece by piece. Only lowered rights need a
 * round; a core that meets raised rights with an old translation faults and finds them. */
#include "space.h"

static uint64_t with_rights(uint64_t value, uint32_t rights, uint64_t user)
{
    enum entry_lazy lazy = entry_lazy(value);
    if (lazy == ENTRY_LAZY_ZERO || lazy == ENTRY_LAZY_RESERVED) {
        return entry_make_lazy(lazy, rights);
    }
    if (rights == 0) {
        return entry_make_retained(entry_address(value), entry_frame(value));
    }
    uint64_t page = entry_make_page(entry_address(value), entry_frame(value), rights, user);
    return entry_is_settling(value) ? page & ~(ENTRY_WRITE | ENTRY_DIRTY) : page;
}

static bool is_lowered(uint64_t old, uint64_t new)
{
    return entry_is_present(old) && (!entry_is_present(new) || (old & ~new &ENTRY_WRITE) != 0 ||
                                     (~old & new &ENTRY_NO_EXECUTE) != 0);
}

/* Skips a whole full table of pages at once. */
static uint64_t next_to_check(const struct table_cursor *cursor, uint64_t end)
{
    if (cursor->level == 1) {
        uint64_t table_bytes = table_span(2);
        if (IS_ALIGNED(cursor->address, table_bytes) && end - cursor->address >= table_bytes &&
            entry_count(*cursor->entry[2]) == TABLE_ENTRIES) {
            return cursor->address + table_bytes;
        }
    }
    return MIN(table_end(cursor), end);
}

/* Moves the cursor over the range; RESULT_AGAIN: not at its end yet. */
static enum result check_holes(struct operation *operation)
{
    struct table_cursor cursor = {.level = 0};
    for (unsigned n = 0; n < PIECE_STEPS_MAX && operation->cursor < operation->end; n++) {
        table_seek(&operation->root, operation->cursor, &cursor);
        if (table_value(&cursor) == 0) {
            return RESULT_NO_MEMORY;
        }
        operation->cursor = next_to_check(&cursor, operation->end);
    }
    return operation->cursor == operation->end ? RESULT_OK : RESULT_AGAIN;
}

static enum result prepare(struct operation *operation)
{
    if (!operation->is_prepared) {
        TRY(check_holes(operation));
        TRY(space_split_at(operation->root, operation->start));
        TRY(space_split_at(operation->root, operation->end));
        operation->cursor = operation->start;
        operation->is_prepared = true;
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0006~1 */
static enum result change(struct operation *operation)
{
    struct table_cursor cursor = {.level = 0};
    for (unsigned n = 0; n < PIECE_STEPS_MAX && operation->cursor < operation->end; n++) {
        table_seek(&operation->root, operation->cursor, &cursor);
        uint64_t old = table_value(&cursor);
        if (old != 0) { /* a hole now: others unmapped it meanwhile */
            while (table_begin(&cursor) < operation->cursor ||
                   table_end(&cursor) > operation->end) {
                TRY(space_split(&cursor));
            }
            uint64_t new = with_rights(old, operation->protection, cursor.user);
            table_set(&cursor, new);
            if (entry_is_present(old) && old != new) {
                operation_stale(operation, table_begin(&cursor), is_lowered(old, new));
            }
        }
        operation->cursor = MIN(table_end(&cursor), operation->end);
    }
    return RESULT_OK;
}

void protect_piece(struct operation *operation)
{
    enum result result = prepare(operation);
    if (result == RESULT_OK) {
        result = change(operation);
        operation->is_finished = operation->cursor == operation->end;
    }
    if (result != RESULT_OK && result != RESULT_AGAIN) {
        operation->result = result;
        operation->is_finished = true;
    }
}
