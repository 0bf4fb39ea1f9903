/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over this core's live tables. Long: runs where every core stands still (seal, stop-all).
 */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"
#include "table.h"

#include <kernel/region.h>
#include <percpu/scheduler.h>

#define LEVEL_ROOT 4u

struct walk_level {
    const uint64_t *table;
    uint64_t entry; /* that leads here */
    unsigned index, used;
};

struct walk {
    struct walk_level levels[LEVEL_ROOT + 1];
    unsigned level;
};

/* The address of the entry that the walk stands at. */
static uint64_t address_of(const struct walk *walk)
{
    uint64_t address = 0;
    for (unsigned level = walk->level; level <= LEVEL_ROOT; level++) {
        address += table_span(level) * walk->levels[level].index;
    }
    bool is_upper = address >= LAYOUT_USER_END; /* sign extension */
    return is_upper ? address | ~(2 * LAYOUT_USER_END - 1) : address;
}

/* The tables of shared slots count their entries; a wrong count would free or keep one wrongly. */
static void leave(struct audit_report *report, struct walk *walk)
{
    const struct walk_level *level = &walk->levels[walk->level];
    bool is_counted = walk->level < TABLE_LEVEL_TOP &&
                      walk->levels[LEVEL_ROOT].index < space_cell->shared_slot_count;
    walk->level++;
    if (is_counted && entry_count(level->entry) != level->used) {
        audit_violation(report, "table_count", address_of(walk), level->entry);
    }
    walk->levels[walk->level].index++;
}

static void visit(struct audit_report *report, struct walk *walk)
{
    struct walk_level *level = &walk->levels[walk->level];
    uint64_t entry = level->table[level->index];
    if (entry != 0) {
        level->used++;
        if (walk->level > 1 && entry_is_table(entry)) {
            if (audit_table(report, address_of(walk), entry, walk->level)) {
                walk->level--;
                walk->levels[walk->level] = (struct walk_level){
                    .table = physical_own(entry_address(entry)), .entry = entry};
                return;
            }
        } else {
            audit_leaf(report, address_of(walk), entry, walk->level);
        }
    }
    level->index++;
}

static void walk_all(struct audit_report *report)
{
    struct walk walk = {.level = LEVEL_ROOT};
    /* The first: nothing to conflict with. */
    (void)audit_frame_judge(report, space_cell->root, AUDIT_MARK_KERNEL, false);
    walk.levels[LEVEL_ROOT].table = physical_own(space_cell->root);
    while (walk.levels[LEVEL_ROOT].index < TABLE_ENTRIES) {
        if (walk.levels[walk.level].index == TABLE_ENTRIES) {
            leave(report, &walk);
        } else {
            visit(report, &walk);
        }
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
