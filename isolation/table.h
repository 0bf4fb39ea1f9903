/* SPDX-License-Identifier: Apache-2.0 */
/* The tables under one shared slot of the user half, written by the slot's owner only, walked by
 * every core's hardware. Each table's parent entry counts the entries in use, so that an empty
 * table is noticed at once; the slot's own table (level 3) stays for ever. Pure logic: what is
 * allocated and when translations are dropped is the caller's business. */
#ifndef ISOLATION_TABLE_H
#define ISOLATION_TABLE_H

#include "entry.h"

#define TABLE_ENTRIES 512u
#define TABLE_KERNEL_HALF 256u /* in a root: the first entry of it */
#define TABLE_LEVEL_TOP 3u     /* page-directory-pointer table: entries of 1 GiB */

struct table_root {
    paddr_t table; /* level 3 */
    uint64_t user; /* ENTRY_USER, or 0 in ring 0 */
};

/* Where an address is decided: the entry that is not a table, and the path to it. */
struct table_cursor {
    uint64_t address, user;
    unsigned level;                       /* 1 page .. 3 */
    uint64_t *entry[TABLE_LEVEL_TOP + 1]; /* [level] .. [3] are valid */
};

static inline uint64_t table_span(unsigned level)
{
    return PAGE_BYTES << (9 * (level - 1));
}

static inline uint64_t table_value(const struct table_cursor *cursor)
{
    return *cursor->entry[cursor->level];
}

/* [begin, end) is what the cursor's entry spans. */
static inline uint64_t table_begin(const struct table_cursor *cursor)
{
    return ALIGN_DOWN(cursor->address, table_span(cursor->level));
}

static inline uint64_t table_end(const struct table_cursor *cursor)
{
    return table_begin(cursor) + table_span(cursor->level);
}

void table_find(const struct table_root *root, uint64_t address, struct table_cursor *cursor);

/* As table_find, from where the cursor stands: the next page of the same table costs no walk. level
 * 0 is a cursor that stands nowhere yet. Between two calls only this cursor may have changed
 * tables. */
static inline void table_seek(const struct table_root *root, uint64_t address,
                              struct table_cursor *cursor)
{
    if (cursor->level == 1 && (cursor->address ^ address) < table_span(2)) {
        cursor->entry[1] +=
            (int64_t)(address / PAGE_BYTES) - (int64_t)(cursor->address / PAGE_BYTES);
        cursor->address = address;
    } else {
        table_find(root, address, cursor);
    }
}

/* The address behind count entries of the cursor's table, from its own on. */
static inline uint64_t table_behind(const struct table_cursor *cursor, unsigned count)
{
    return table_begin(cursor) + count * table_span(cursor->level);
}

/* How many entries of the cursor's table, from its own on, end at `end` or before; at least 1. */
static inline unsigned table_room(const struct table_cursor *cursor, uint64_t end)
{
    uint64_t begin = table_begin(cursor);
    uint64_t table_end =
        ALIGN_DOWN(begin, table_span(cursor->level + 1)) + table_span(cursor->level + 1);
    uint64_t count = (MIN(end, table_end) - begin) / table_span(cursor->level);
    return count > 0 ? (unsigned)count : 1;
}

/* How many of them equal the first. */
unsigned table_run(const struct table_cursor *cursor, uint64_t end);

/* Writes count entries from the cursor's on, of which all are in use or none is: everything written
 * before is visible to a walker that finds one. */
void table_fill(struct table_cursor *cursor, unsigned count, uint64_t value);

static inline void table_set(struct table_cursor *cursor, uint64_t value)
{
    table_fill(cursor, 1, value);
}

/* The cursor's entry was the last in use of its table. */
static inline bool table_is_emptied(const struct table_cursor *cursor)
{
    return cursor->level < TABLE_LEVEL_TOP && entry_count(*cursor->entry[cursor->level + 1]) == 0;
}

/* Takes the emptied table out of the tree; the cursor then stands on an empty larger entry. Walkers
 * may still use the table: the caller reuses it after a round of invalidations only. */
paddr_t table_remove(struct table_cursor *cursor);

/* Splits the cursor's entry, which is empty or lazy and larger than a page, with the own frame
 * `table`; the meaning does not change. The cursor steps down to its address. */
void table_split(struct table_cursor *cursor, paddr_t table);

#endif
