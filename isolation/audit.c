/* SPDX-License-Identifier: Apache-2.0 */
/* The judgement of one entry of the tables, and of the frames that it maps; and the walk over this
 * core's live tables. Long: runs where every core stands still (seal, stop-all). */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <percpu/scheduler.h>

/* Notes a violation of the rule; NULL: none is broken. */
static void violation(struct audit_report *report, const char *rule, uint64_t address,
                      uint64_t entry)
{
    if (rule == NULL) {
        return;
    }
    if (report->violations == 0) {
        report->first_rule = rule;
        report->first_address = address;
        report->first_entry = entry;
    }
    report->violations++;
}

/* Never write and execute together, unless the manifest allows it. Rights, or a frame's marks. */
static bool is_write_execute_right(uint32_t rights)
{
    const uint32_t write_execute = GATE_WRITE | GATE_EXECUTE;
    return (rights & write_execute) != write_execute || space_cell->allow_write_execute;
}

/* ---- a frame: what is remembered of it over all mappings of this core, four bits */

/* What is known of a frame from the mappings seen so far. */
enum audit_mark {
    AUDIT_MARK_KERNEL = 1,         /* page table, per-core data, channel, kernel image, device */
    AUDIT_MARK_WRITE = GATE_WRITE, /* other than by its owner's direct map */
    AUDIT_MARK_EXECUTE = GATE_EXECUTE,
    AUDIT_MARK_USER = 8,
};

static void marks_clear(void)
{
    const struct region *region = &shared_regions[percpu_self.value];
    memset(physical_own(region->audit_marks), 0, region->audit_marks_bytes);
}

/* Adds the marks and returns those that were there before. Device pages may lie beyond all RAM:
 * nothing is kept of them. */
static uint32_t marks_add(uint64_t physical, uint32_t marks)
{
    const struct region *region = &shared_regions[percpu_self.value];
    uint64_t frame = physical / PAGE_BYTES;
    if (frame / 2 >= region->audit_marks_bytes) {
        return 0;
    }
    uint8_t *byte = (uint8_t *)physical_own(region->audit_marks) + frame / 2;
    unsigned shift = frame % 2 * 4;
    uint32_t before = (*byte >> shift) & 0xfu;
    *byte = (uint8_t)(*byte | marks << shift);
    return before;
}

/* Frames that some core's region set aside at boot: tables, per-core data, pools, outbox. */
static bool is_kernel_region(uint64_t physical)
{
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        const struct region *region = &shared_regions[core];
        if (physical >= region->own_start.value && physical < region->own_end.value) {
            return true;
        }
    }
    return false;
}

/* Adds marks to a frame and judges it. is_single: no second user mapping may exist. Returns the
 * name of the broken rule, or NULL.
 *
 * @impl ATL-LLR-ISOL-0030~1
 * @impl ATL-LLR-ISOL-0031~1 */
static const char *frame_judge(struct audit_report *report, paddr_t frame, uint32_t marks,
                               bool is_single)
{
    const uint32_t user_kernel = AUDIT_MARK_USER | AUDIT_MARK_KERNEL;
    uint32_t before = marks_add(frame.value, marks);
    marks |= before;
    report->frames_judged += before == 0;
    if ((marks & AUDIT_MARK_USER) != 0 && is_kernel_region(frame.value)) {
        marks |= AUDIT_MARK_KERNEL;
    }
    if ((marks & user_kernel) == user_kernel) {
        return "kernel_frame_in_user_half";
    }
    if (!is_write_execute_right(marks)) {
        return "frame_writable_and_executable";
    }
    if (is_single && (before & AUDIT_MARK_USER) != 0) {
        return "frame_mapped_twice";
    }
    return NULL;
}

/* ---- an entry */

static bool is_user_bit_right(uint64_t address, uint64_t entry)
{
    bool wanted = address < LAYOUT_USER_END && space_cell->ring == 3;
    return ((entry & ENTRY_USER) != 0) == wanted;
}

/* Accessed always, dirty where writable: no walker ever writes a table. */
static bool are_walker_bits_set(uint64_t entry)
{
    return (entry & ENTRY_ACCESSED) != 0 &&
           ((entry & ENTRY_WRITE) == 0 || (entry & ENTRY_DIRTY) != 0);
}

/* What the hardware allows at a present entry. */
static uint32_t rights_now(uint64_t entry)
{
    return GATE_READ | ((entry & ENTRY_WRITE) != 0 ? GATE_WRITE : 0) |
           ((entry & ENTRY_NO_EXECUTE) == 0 ? GATE_EXECUTE : 0);
}

static bool are_rights_right(const struct audit_class *class, uint64_t entry)
{
    uint32_t rights = rights_now(entry);
    return class->rights == AUDIT_AS_ASKED ? is_write_execute_right(rights)
                                           : rights == class->rights;
}

static bool is_own_memory(paddr_t frame)
{
    return percpu_frame_is_own(frame) && !physical_is_image(frame);
}

static bool is_kind_true(paddr_t frame, uint64_t entry)
{
    switch (entry_frame(entry)) {
    case ENTRY_FRAME_OWN:
        return is_own_memory(frame);
    case ENTRY_FRAME_FOREIGN:
        return frame.value < shared_facts.memory_limit && !physical_is_image(frame) &&
               percpu_frame_owner_remote(frame).value != percpu_self.value;
    case ENTRY_FRAME_IMAGE:
        return physical_is_image(frame) && (entry & ENTRY_WRITE) == 0;
    case ENTRY_FRAME_NONE:
        break;
    }
    return false;
}

/* Of an entry that maps bytes at the address. */
static bool are_frames_right(const struct audit_range *range, uint64_t address, uint64_t entry,
                             uint64_t bytes)
{
    paddr_t first = entry_address(entry);
    paddr_t last = {first.value + bytes - PAGE_BYTES};
    uint64_t offset = address - range->start;
    switch (range->class->frames) {
    case AUDIT_FRAMES_NONE:
        return false;
    case AUDIT_FRAMES_LINEAR:
        return first.value == range->physical + offset;
    case AUDIT_FRAMES_DIRECT:
        return first.value == offset && is_own_memory(first) && is_own_memory(last);
    case AUDIT_FRAMES_OWN:
        return is_own_memory(first);
    case AUDIT_FRAMES_SLOT:
        return is_kind_true(first, entry);
    }
    return false;
}

/* The direct map is the owner's declared alias of everything else, and the image's read-only alias
 * is of the program's own pages: neither says what a frame is for. */
static uint32_t marks_of(const struct audit_class *class, uint64_t entry)
{
    if (class == &audit_classes[AUDIT_CLASS_direct_map] ||
        class == &audit_classes[AUDIT_CLASS_image]) {
        return 0;
    }
    return (class->is_user ? AUDIT_MARK_USER : AUDIT_MARK_KERNEL) |
           (rights_now(entry) & ~GATE_READ);
}

static void judge_frames(struct audit_report *report, const struct audit_class *class,
                         uint64_t address, uint64_t entry, uint64_t span)
{
    enum entry_frame kind = class->rights == AUDIT_AS_ASKED ? entry_frame(entry) : ENTRY_FRAME_NONE;
    bool is_single =
        class->is_user && kind != ENTRY_FRAME_IMAGE && !physical_is_image(entry_address(entry));
    uint32_t marks = marks_of(class, entry);
    for (uint64_t at = 0; marks != 0 && at < span; at += PAGE_BYTES) {
        paddr_t frame = {entry_address(entry).value + at};
        violation(report, frame_judge(report, frame, marks, is_single), address + at, entry);
    }
}

/* @impl ATL-LLR-ISOL-0032~1 */
static void judge_present(struct audit_report *report, uint64_t address, uint64_t entry,
                          unsigned level)
{
    const struct audit_range *range = audit_range_of(address);
    uint64_t span = table_span(level);
    report->mappings_judged++;
    if (range == NULL) {
        violation(report, "mapped_in_no_class", address, entry);
        return;
    }
    bool is_whole = span <= range->end - address && (entry & ENTRY_ADDRESS & (span - 1)) == 0 &&
                    (level == 1 || !range->class->is_user);
    if (!is_whole || !are_rights_right(range->class, entry) || !are_walker_bits_set(entry) ||
        !is_user_bit_right(address, entry) || !are_frames_right(range, address, entry, span)) {
        violation(report, range->class->name, address, entry);
    }
    judge_frames(report, range->class, address, entry, span);
}

/* Lazy entries are this core's memory of what a page will be; only shared slots have them.
 * @impl ATL-LLR-ISOL-0032~1 */
static void judge_lazy(struct audit_report *report, uint64_t address, uint64_t entry,
                       unsigned level)
{
    const struct audit_range *range = audit_range_of(address);
    bool is_here = range != NULL && range->class->rights == AUDIT_AS_ASKED;
    if (!is_here || !is_write_execute_right(entry_rights(entry))) {
        violation(report, is_here ? range->class->name : "lazy_in_no_slot", address, entry);
        return;
    }
    if (entry_lazy(entry) == ENTRY_LAZY_RETAINED) {
        if (level != 1 || !are_frames_right(range, address, entry, PAGE_BYTES)) {
            violation(report, range->class->name, address, entry);
        }
        judge_frames(report, range->class, address, entry | ENTRY_NO_EXECUTE, PAGE_BYTES);
    }
}

/* Every slot leads to the table that its owner made. Other tables are this core's own. */
static bool is_table_expected(uint64_t address, uint64_t entry, unsigned level)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    if (level == TABLE_LEVEL_TOP + 1 && slot < space_cell->shared_slot_count) {
        return entry_address(entry).value == shared_slot_tables[slot].value;
    }
    return percpu_frame_is_own(entry_address(entry));
}

/* True: the walk goes into the table. @impl ATL-LLR-ISOL-0033~1 */
static bool judge_table(struct audit_report *report, uint64_t address, uint64_t entry,
                        unsigned level)
{
    if ((entry & (ENTRY_ACCESSED | ENTRY_WRITE)) != (ENTRY_ACCESSED | ENTRY_WRITE) ||
        (entry & ENTRY_NO_EXECUTE) != 0 || !is_user_bit_right(address, entry) ||
        !is_table_expected(address, entry, level)) {
        violation(report, "table_entry", address, entry);
    }
    if (!percpu_frame_is_own(entry_address(entry))) {
        return false; /* its owner walks it */
    }
    const char *rule = frame_judge(report, entry_address(entry), AUDIT_MARK_KERNEL, false);
    violation(report, rule, address, entry);
    return true;
}

/* ---- the walk */

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
        violation(report, "table_count", begin, *entry_of(walk, begin));
    }
}

static void visit(struct audit_report *report, struct walk *walk)
{
    const uint64_t *at = entry_of(walk, walk->address);
    uint64_t entry = *at;
    uint64_t address = (uint64_t)((int64_t)(walk->address << 16) >> 16); /* sign extension */
    walk->used[walk->level] += entry != 0;
    if (walk->level > 1 && entry_is_table(entry)) {
        if (judge_table(report, address, entry, walk->level)) {
            enter(walk, entry_address(entry));
            return;
        }
    } else if (entry_is_present(entry)) {
        judge_present(report, address, entry, walk->level);
    } else if (entry != 0) {
        judge_lazy(report, address, entry, walk->level);
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
    (void)frame_judge(report, space_cell->root, AUDIT_MARK_KERNEL, false);
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
            violation(report, "idle_root", (uint64_t)i * GATE_SLOT_BYTES, idle[i]);
        }
    }
}

/* @impl ATL-LLR-ISOL-0034~1 */
enum result isolation_audit(struct audit_report *report)
{
    ASSERT(space_cell != NULL);
    *report = (struct audit_report){0};
    audit_ranges_build();
    marks_clear();
    walk_all(report);
    judge_idle_root(report);
    return report->violations == 0 ? RESULT_OK : RESULT_PERMISSION;
}
