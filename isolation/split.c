/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting entries with tables from this core's allocator. */
#include "space.h"

#include <percpu/frames.h>

enum result space_split(struct table_cursor *cursor)
{
    paddr_t table;
    TRY(percpu_frame_allocate(&table));
    table_split(cursor, table);
    return RESULT_OK;
}

enum result space_split_at(struct table_root root, uint64_t edge)
{
    if (IS_ALIGNED(edge, table_span(TABLE_LEVEL_TOP))) {
        return RESULT_OK;
    }
    struct table_cursor cursor;
    table_find(&root, edge, &cursor);
    while (!IS_ALIGNED(edge, table_span(cursor.level)) && table_value(&cursor) != 0) {
        TRY(space_split(&cursor));
    }
    return RESULT_OK;
}

enum result space_split_to_page(struct table_cursor *cursor)
{
    while (cursor->level > 1) {
        TRY(space_split(cursor));
    }
    return RESULT_OK;
}
