/* SPDX-License-Identifier: Apache-2.0 */
/* map: lazy entries over the whole range at once, then, if asked, pages in pieces. */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>

#define LAY_TABLES_MAX 4u /* two at each end of a range */

struct reserve {
    paddr_t tables[LAY_TABLES_MAX];
    unsigned count;
};

static void reserve_release(struct reserve *reserve)
{
    while (reserve->count > 0) {
        percpu_frame_free(reserve->tables[--reserve->count]);
    }
}

static enum result reserve_fill(struct reserve *reserve, unsigned count)
{
    while (reserve->count < count) {
        if (percpu_frame_allocate(&reserve->tables[reserve->count]) != RESULT_OK) {
            reserve_release(reserve);
            return RESULT_NO_MEMORY;
        }
        reserve->count++;
    }
    return RESULT_OK;
}

/* Bounded: where a whole larger entry is a table, something in it is used and ends the search. */
static bool is_empty(struct table_root root, struct space_range range)
{
    uint64_t end = range.address + range.bytes;
    struct table_cursor cursor = {.level = 0};
    for (uint64_t at = range.address; at < end; at = table_end(&cursor)) {
        table_seek(&root, at, &cursor);
        if (table_value(&cursor) != 0) {
            return false;
        }
    }
    return true;
}

/* @impl ATL-LLR-ISOL-0001~1 */
enum result map_lay(struct table_root root, struct space_range range, uint64_t lazy)
{
    if (!is_empty(root, range)) {
        return RESULT_EXISTS;
    }
    uint64_t end = range.address + range.bytes;
    struct reserve reserve = {.count = 0};
    TRY(reserve_fill(&reserve,
                     table_splits_at(&root, range.address) + table_splits_at(&root, end)));
    struct table_cursor cursor = {.level = 0};
    for (uint64_t at = range.address; at < end; at = table_end(&cursor)) {
        table_seek(&root, at, &cursor);
        while (table_begin(&cursor) < at || table_end(&cursor) > end) {
            ASSERT(reserve.count > 0);
            table_split(&cursor, reserve.tables[--reserve.count]);
        }
        table_set(&cursor, lazy);
    }
    reserve_release(&reserve); /* both ends may share a table */
    return RESULT_OK;
}

static enum result frame_for(const struct operation *operation, paddr_t *frame,
                             enum entry_frame *kind)
{
    if ((operation->flags & GATE_MAP_IMAGE) != 0) {
        *kind = ENTRY_FRAME_IMAGE;
        frame->value = shared_facts.image_physical + operation->offset +
                       (operation->cursor - operation->start);
        return RESULT_OK;
    }
    *kind = ENTRY_FRAME_OWN;
    TRY(percpu_frame_allocate(frame));
    physical_page_zero(*frame);
    return RESULT_OK;
}

/* Fills the page at the cursor, if it is still as map_lay left it. */
static enum result fill(struct operation *operation, struct table_cursor *cursor)
{
    paddr_t frame;
    enum entry_frame kind;
    TRY(space_split_to_page(cursor));
    TRY(frame_for(operation, &frame, &kind));
    uint32_t rights = entry_rights(table_value(cursor));
    table_set(cursor, rights == 0 ? entry_make_retained(frame, kind)
                                  : entry_make_page(frame, kind, rights, cursor->user));
    return RESULT_OK;
}

/* @impl ATL-LLR-ISOL-0004~1 */
void map_piece(struct operation *operation)
{
    enum entry_lazy expected =
        (operation->flags & GATE_MAP_IMAGE) != 0 ? ENTRY_LAZY_RESERVED : ENTRY_LAZY_ZERO;
    struct table_cursor cursor = {.level = 0};
    for (unsigned n = 0; n < PIECE_ENTRIES_MAX && operation->cursor < operation->end; n++) {
        table_seek(&operation->root, operation->cursor, &cursor);
        if (entry_lazy(table_value(&cursor)) != expected) { /* others changed it meanwhile */
            operation->cursor = MIN(table_end(&cursor), operation->end);
            continue;
        }
        if (fill(operation, &cursor) != RESULT_OK) {
            operation->result = RESULT_NO_MEMORY; /* and everything is undone */
            operation->kind = OPERATION_UNMAP;
            operation->flags = 0;
            operation->cursor = operation->start;
            return;
        }
        operation->cursor += PAGE_BYTES;
    }
    operation->is_finished = operation->cursor == operation->end;
}
