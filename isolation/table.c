/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include "physical.h"

static uint64_t *entry_in(paddr_t table, uint64_t address, unsigned level)
{
    uint64_t index = address / table_span(level) % TABLE_ENTRIES;
    return (uint64_t *)physical_own(table) + index;
}

/* Other cores walk these words at any time: each is written whole, after what it leads to. */
static void store(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

void table_find(const struct table_root *root, uint64_t address, struct table_cursor *cursor)
{
    cursor->address = address;
    cursor->user = root->user;
    cursor->level = TABLE_LEVEL_TOP;
    cursor->entry[TABLE_LEVEL_TOP] = entry_in(root->table, address, TABLE_LEVEL_TOP);
    while (cursor->level > 1 && entry_is_table(table_value(cursor))) {
        paddr_t table = entry_address(table_value(cursor));
        cursor->level--;
        cursor->entry[cursor->level] = entry_in(table, address, cursor->level);
    }
}

unsigned table_run(const struct table_cursor *cursor, uint64_t end)
{
    const uint64_t *first = cursor->entry[cursor->level];
    const uint64_t *last = first + table_room(cursor, end);
    const uint64_t *entry = first + 1;
    uint64_t value = *first;
    while (last - entry >= 4 && entry[0] == value && entry[1] == value && entry[2] == value &&
           entry[3] == value) {
        entry += 4; /* stacks and heaps are long runs */
    }
    while (entry < last && *entry == value) {
        entry++;
    }
    return (unsigned)(entry - first);
}

void table_fill(struct table_cursor *cursor, unsigned count, uint64_t value)
{
    uint64_t *entry = cursor->entry[cursor->level];
    bool was_used = *entry != 0;
    bool is_used = value != 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < count; i++) {
        store(&entry[i], value);
    }
    if (cursor->level == TABLE_LEVEL_TOP || was_used == is_used) {
        return;
    }
    uint64_t *parent = cursor->entry[cursor->level + 1];
    unsigned before = entry_count(*parent);
    ASSERT(is_used ? before + count <= TABLE_ENTRIES : before >= count);
    store(parent, is_used ? *parent + count * ENTRY_COUNT_ONE : *parent - count * ENTRY_COUNT_ONE);
}

/* @impl ATL-LLR-ISOL-0003~1 */
paddr_t table_remove(struct table_cursor *cursor)
{
    ASSERT(table_is_emptied(cursor));
    cursor->level++;
    paddr_t table = entry_address(table_value(cursor));
    table_set(cursor, 0);
    return table;
}

/* @impl ATL-LLR-ISOL-0002~1 */
void table_split(struct table_cursor *cursor, paddr_t table)
{
    uint64_t value = table_value(cursor);
    ASSERT(cursor->level > 1 && !entry_is_present(value));
    uint64_t *entries = physical_own(table);
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        entries[i] = value;
    }
    table_set(cursor, entry_make_table(table, value != 0 ? TABLE_ENTRIES : 0, cursor->user));
    cursor->level--;
    cursor->entry[cursor->level] = entry_in(table, cursor->address, cursor->level);
}
