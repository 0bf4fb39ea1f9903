/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit remembers of each frame over all mappings of this core: four bits. */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <kernel/region.h>
#include <percpu/scheduler.h>

void audit_marks_clear(void)
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

/* @impl ATL-LLR-ISOL-0030~1
 * @impl ATL-LLR-ISOL-0031~1 */
const char *audit_frame_judge(struct audit_report *report, paddr_t frame, uint32_t marks,
                              bool is_single)
{
    const uint32_t write_execute = AUDIT_MARK_WRITE | AUDIT_MARK_EXECUTE;
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
    if ((marks & write_execute) == write_execute && !space_cell->allow_write_execute) {
        return "frame_writable_and_executable";
    }
    if (is_single && (before & AUDIT_MARK_USER) != 0) {
        return "frame_mapped_twice";
    }
    return NULL;
}
