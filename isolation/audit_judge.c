/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement of one entry of the tables. */
#include "audit_internal.h"
#include "cell.h"
#include "table.h"

#include <kernel/layout.h>
#include <percpu/scheduler.h>

void audit_violation(struct audit *audit, const char *rule, uint64_t address, uint64_t entry)
{
    struct audit_report *report = audit->report;
    if (report->violations == 0) {
        report->first_rule = rule;
        report->first_address = address;
        report->first_entry = entry;
    }
    report->violations++;
}

static bool is_user_half(uint64_t address)
{
    return address < LAYOUT_USER_END;
}

static bool is_user_bit_right(const struct audit *audit, uint64_t address, uint64_t entry)
{
    bool wanted = is_user_half(address) && audit->cell->ring == 3;
    return ((entry & ENTRY_USER) != 0) == wanted;
}

/* Accessed always, dirty where writable: no walker ever writes a table. */
static bool are_walker_bits_set(uint64_t entry)
{
    return (entry & ENTRY_ACCESSED) != 0 &&
           ((entry & ENTRY_WRITE) == 0 || (entry & ENTRY_DIRTY) != 0);
}

static bool are_rights_right(const struct audit *audit, const struct audit_class *class,
                             uint64_t entry)
{
    bool is_write = (entry & ENTRY_WRITE) != 0;
    bool is_execute = (entry & ENTRY_NO_EXECUTE) == 0;
    switch (class->rights) {
    case AUDIT_NONE:
        return false;
    case AUDIT_READ:
        return !is_write && !is_execute;
    case AUDIT_READ_EXECUTE:
        return !is_write && is_execute;
    case AUDIT_READ_WRITE:
        return is_write && !is_execute;
    case AUDIT_AS_ASKED:
        return !(is_write && is_execute) || audit->cell->allow_write_execute;
    }
    return false;
}

/* The direct map is the owner's declared alias of everything else, and the image's read-only alias
 * is of the program's own pages: neither says what a frame is for. */
static uint32_t marks_of(const struct audit_class *class, uint64_t entry)
{
    uint64_t first;
    if (class->range(LAYOUT_DIRECT_BASE, &first) || class->range(LAYOUT_IMAGE_BASE, &first)) {
        return 0;
    }
    return (class->is_user ? AUDIT_MARK_USER : AUDIT_MARK_KERNEL) |
           ((entry & ENTRY_WRITE) != 0 ? AUDIT_MARK_WRITE : 0) |
           ((entry & ENTRY_NO_EXECUTE) == 0 ? AUDIT_MARK_EXECUTE : 0);
}

static void judge_frames(struct audit *audit, const struct audit_class *class, uint64_t address,
                         uint64_t entry, uint64_t span)
{
    enum entry_frame kind = class->rights == AUDIT_AS_ASKED ? entry_frame(entry) : ENTRY_FRAME_NONE;
    struct audit_frame frame = {
        .marks = marks_of(class, entry),
        .is_single = kind == ENTRY_FRAME_OWN || kind == ENTRY_FRAME_FOREIGN,
    };
    if (frame.marks == 0) {
        return;
    }
    for (uint64_t at = 0; at < span; at += PAGE_BYTES) {
        frame.physical = entry_address(entry).value + at;
        const char *rule = audit_frame_judge(audit, &frame);
        if (rule != NULL) {
            audit_violation(audit, rule, address + at, entry);
        }
    }
}

/* @impl ATL-LLR-ISOL-0032~1 */
static void judge_present(struct audit *audit, uint64_t address, uint64_t entry, unsigned level)
{
    const struct audit_class *class = audit_class_of(address);
    uint64_t span = table_span(level);
    audit->report->mappings_judged++;
    if (class == NULL) {
        audit_violation(audit, "mapped_in_no_class", address, entry);
        return;
    }
    uint64_t pages = level > 1 ? ENTRY_ADDRESS & ~(span - 1) : ENTRY_ADDRESS;
    bool is_whole = audit_class_of(address + span - PAGE_BYTES) == class &&
                    (entry & ENTRY_ADDRESS & ~pages) == 0 && (level == 1 || !class->is_user);
    if (!is_whole || !are_rights_right(audit, class, entry) || !are_walker_bits_set(entry) ||
        !is_user_bit_right(audit, address, entry) || !class->frames(address, entry) ||
        !class->frames(address + span - PAGE_BYTES, entry + span - PAGE_BYTES)) {
        audit_violation(audit, class->name, address, entry);
    }
    judge_frames(audit, class, address, entry, span);
}

/* Lazy entries are this core's memory of what a page will be; only shared slots have them. */
static void judge_lazy(struct audit *audit, uint64_t address, uint64_t entry, unsigned level)
{
    const struct audit_class *class = audit_class_of(address);
    bool is_here = class != NULL && class->rights == AUDIT_AS_ASKED;
    const uint32_t write_execute = GATE_WRITE | GATE_EXECUTE;
    if (!is_here || ((entry_rights(entry) & write_execute) == write_execute &&
                     !audit->cell->allow_write_execute)) {
        audit_violation(audit, is_here ? class->name : "lazy_in_no_slot", address, entry);
        return;
    }
    if (entry_lazy(entry) == ENTRY_LAZY_RETAINED) {
        if (level != 1 || !class->frames(address, entry)) {
            audit_violation(audit, class->name, address, entry);
        }
        judge_frames(audit, class, address, entry | ENTRY_NO_EXECUTE, PAGE_BYTES);
    }
}

void audit_leaf(struct audit *audit, uint64_t address, uint64_t entry, unsigned level)
{
    if (entry_is_present(entry)) {
        judge_present(audit, address, entry, level);
    } else {
        judge_lazy(audit, address, entry, level);
    }
}

/* Every slot leads to the table that its owner made. Other tables are this core's own, but for the
 * image's alias, which core 0 made and judges. */
static bool is_table_expected(const struct audit *audit, uint64_t address, uint64_t entry,
                              unsigned level)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    if (level == TABLE_LEVEL_TOP + 1 && slot < audit->cell->shared_slot_count) {
        uint64_t owner = slot % percpu_core_count;
        return entry_address(entry).value ==
               shared_slot_tables[owner][slot / percpu_core_count].value;
    }
    return percpu_frame_is_own(entry_address(entry)) ||
           (level == TABLE_LEVEL_TOP + 1 && address == LAYOUT_IMAGE_BASE && percpu_self.value != 0);
}

/* @impl ATL-LLR-ISOL-0033~1 */
bool audit_table(struct audit *audit, uint64_t address, uint64_t entry, unsigned level)
{
    if ((entry & (ENTRY_ACCESSED | ENTRY_WRITE)) != (ENTRY_ACCESSED | ENTRY_WRITE) ||
        (entry & ENTRY_NO_EXECUTE) != 0 || !is_user_bit_right(audit, address, entry) ||
        !is_table_expected(audit, address, entry, level)) {
        audit_violation(audit, "table_entry", address, entry);
    }
    if (!percpu_frame_is_own(entry_address(entry))) {
        return false; /* its owner walks it */
    }
    const struct audit_frame frame = {.physical = entry_address(entry).value,
                                      .marks = AUDIT_MARK_KERNEL};
    const char *rule = audit_frame_judge(audit, &frame);
    if (rule != NULL) {
        audit_violation(audit, rule, address, entry);
    }
    return true;
}
