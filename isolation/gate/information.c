/* SPDX-License-Identifier: Apache-2.0 */
/* The information call: a counter of any core, told by that core, and the audit of the calling
 * core. */
#include "internal.h"

#include <driver/console.h>
#include <isolation/audit.h>
#include <percpu/frames.h>

static int64_t own_count(uint64_t count)
{
    gate_counts.busy_ns = percpu_operation_now() - gate_counts.idle_ns;
    gate_counts.frames_free = percpu_frames_free_count;
    gate_counts.frames_total = percpu_frames_total_count;
    gate_counts.threads_live = percpu_threads_live;
    gate_counts.credits_free = percpu_channel_credits_free();
    gate_counts.credits_total = (uint64_t)PERCPU_REQUESTS_MAX * (percpu_core_count - 1u);
    return ((const int64_t *)&gate_counts)[count];
}

/* @impl ATL-LLR-BOOT-0030~1 */
void gate_report_broken_rule(core_id_t core, const struct audit_report *report)
{
    console_log(CONSOLE_ERROR, "atoll: audit: core %u breaks rule %s at 0x%lx (entry 0x%lx)\n",
                core.value, report->first_rule, report->first_address, report->first_entry);
}

static enum result audit(void)
{
    struct audit_report report;
    enum result result = isolation_audit(&report);
    if (result != RESULT_OK) {
        gate_report_broken_rule(percpu_self, &report);
    }
    return result;
}

/* @impl ATL-LLR-GATE-0028~3 */
int64_t gate_handle_information(uint64_t kind, uint64_t core, uint64_t count, uint64_t, uint64_t)
{
    if (kind == GATE_INFORMATION_AUDIT && core == 0 && count == 0) {
        return audit();
    }
    if (kind != GATE_INFORMATION_CORE || core >= percpu_core_count ||
        count >= sizeof(gate_counts) / sizeof(uint64_t)) {
        return RESULT_INVALID;
    }
    if (core != percpu_self.value) {
        return gate_pass_on(
            core, (struct percpu_message){.arguments = {GATE_INFORMATION, kind, core, count}});
    }
    return own_count(count);
}
