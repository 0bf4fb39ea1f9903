/* SPDX-License-Identifier: Apache-2.0 */
/* The information call: counters of any core, copied by that core into its staging page, and the
 * audit of the calling core. */
#include "internal.h"

#include <cpu/string.h>
#include <driver/console.h>
#include <isolation/audit.h>
#include <percpu/frames.h>

static void counts_publish(void)
{
    gate_counts.busy_ns = percpu_operation_now() - gate_counts.idle_ns;
    gate_counts.frames_free = percpu_frames_free_count;
    gate_counts.frames_total = percpu_frames_total_count;
    gate_counts.threads_live = percpu_threads_live;
    gate_counts.credits_free = percpu_channel_credits_free();
    gate_counts.credits_total = (uint64_t)PERCPU_REQUESTS_MAX * (percpu_core_count - 1u);
    memcpy(gate_staging_own(GATE_STAGING_COUNTS), &gate_counts, sizeof(gate_counts));
}

/* @impl ATL-LLR-GATE-0028~2 */
void gate_information_requested(core_id_t from, const struct percpu_message *request)
{
    counts_publish();
    percpu_channel_reply(from, request);
}

/* The repeated call finds the page fresh. */
static void counts_came(struct thread *thread, const struct percpu_message *)
{
    thread->is_answered = true;
    percpu_thread_ready(thread);
}

static int64_t counts_copy(uint64_t core, uint64_t buffer, uint64_t bytes)
{
    struct thread *thread = percpu_current;
    core_id_t target = {(uint16_t)core};
    if (core >= percpu_core_count || bytes != sizeof(struct gate_core_counts)) {
        return RESULT_INVALID;
    }
    if (target.value == percpu_self.value) {
        counts_publish();
    } else if (!thread->is_answered) {
        thread->resume = RESUME_RESTART;
        return gate_request_or_repeat(
            target, &(struct percpu_message){.kind = PERCPU_MESSAGE_INFORMATION}, counts_came);
    }
    int64_t copied =
        gate_copy_to_user(buffer, gate_staging_of_remote(target, GATE_STAGING_COUNTS), bytes);
    thread->is_answered = copied == SPACE_PENDING; /* else the call is over */
    return copied;
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

/* @impl ATL-LLR-GATE-0028~2 */
int64_t gate_handle_information(uint64_t kind, uint64_t argument, uint64_t buffer, uint64_t bytes,
                                uint64_t)
{
    if (kind == GATE_INFORMATION_CORE) {
        return counts_copy(argument, buffer, bytes);
    }
    if (kind == GATE_INFORMATION_AUDIT && argument == 0 && buffer == 0 && bytes == 0) {
        return audit();
    }
    return RESULT_INVALID;
}
