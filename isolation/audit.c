/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over this core's live tables. Long: runs where every core stands still (seal, stop-all).
 */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <percpu/scheduler.h>

#define LEVEL_ROOT 4u

/* Where the walk stands, the tables that lead there, and their entries in use so far. */
struct walk {
    uint64_t address; /* without sign extension */
    unsigned level;
    const uint64_t *tables[LEVEL_ROOT + 1];
    unsigned used[LEVEL_ROOT + 1];
};

static const uint64_t *entry_of(const struct walk *walk, uint64_t address)
{
    return &walk->tables[walk->level][address / table_span(walk->level) % TABLE_ENTRIES];
}

static void enter(struct walk *walk, paddr_t table)
{
    walk->level--;
    walk->tables[walk->level] = physical_own(table);
    walk->used[walk->level] = 0;
}

/* The tables of shared slots count their entries; a wrong count would free or keep one wrongly. */
static void leave(struct audit_report *report, struct walk *walk)
{
    unsigned used = walk->used[walk->level++];
    uint64_t begin = walk->address - table_span(walk->level);
    bool is_counted =
        walk->level <= TABLE_LEVEL_TOP && begin < space_cell->shared_slot_count * GATE_SLOT_BYTES;
    if (is_counted && entry_count(*entry_of(walk, begin)) != used) {
        audit_violation(report, "table_count", begin, *entry_of(walk, begin));
    }
}

static void visit(struct audit_report *report, struct walk *walk)
{
    const uint64_t *at = entry_of(walk, walk->address);
    uint64_t entry = *at;
    uint64_t address = (uint64_t)((int64_t)(walk->address << 16) >> 16); /* sign extension */
    walk->used[walk->level] += entry != 0;
    if (walk->level > 1 && entry_is_table(entry)) {
        if (audit_table(report, address, entry, walk->level)) {
            enter(walk, entry_address(entry));
            return;
        }
    } else if (entry_is_present(entry)) {
        audit_present(report, address, entry, walk->level);
    } else if (entry != 0) {
        audit_lazy(report, address, entry, walk->level);
    }
    do { /* to the end of the table, or an entry in use */
        walk->address += table_span(walk->level);
    } while (!IS_ALIGNED((uintptr_t)++at, PAGE_BYTES) && *at == 0);
    while (walk->level < LEVEL_ROOT && IS_ALIGNED(walk->address, table_span(walk->level + 1))) {
        leave(report, walk);
    }
}

static void walk_all(struct audit_report *report)
{
    struct walk walk = {.level = LEVEL_ROOT + 1};
    /* The first: nothing to conflict with. */
    (void)audit_frame_judge(report, space_cell->root, AUDIT_MARK_KERNEL, false);
    enter(&walk, space_cell->root);
    while (walk.address < 2 * LAYOUT_USER_END) {
        visit(report, &walk);
    }
}

/* The root for boot and idle: the same kernel half, and no user half. */
static void judge_idle_root(struct audit_report *report)
{
    const uint64_t *idle = physical_own(shared_regions[percpu_self.value].root);
    const uint64_t *cell = physical_own(space_cell->root);
    for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
        if (idle[i] != (i < TABLE_KERNEL_HALF ? 0 : cell[i])) {
            audit_violation(report, "idle_root", (uint64_t)i * GATE_SLOT_BYTES, idle[i]);
        }
    }
}

/* @impl ATL-LLR-ISOL-0034~1 */
enum result isolation_audit(struct audit_report *report)
{
    ASSERT(space_cell != NULL);
    *report = (struct audit_report){0};
    audit_ranges_build();
    audit_marks_clear();
    walk_all(report);
    judge_idle_root(report);
    return report->violations == 0 ? RESULT_OK : RESULT_PERMISSION;
}
