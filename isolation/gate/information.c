/* SPDX-License-Identifier: Apache-2.0 */
/* The information call: counters of any core, copied by that core into its staging page, and the
 * audit of all cores, one after the other. */
#include "internal.h"

#include <cpu/string.h>
#include <percpu/frames.h>
#include <percpu/operations.h>

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

/* The answer is not 0: the repeated call finds the page fresh. @impl ATL-LLR-GATE-0028~1 */
void gate_information_requested(core_id_t from, const struct percpu_message *request)
{
    counts_publish();
    gate_reply(from, request, 1);
}

/* progress[0]: cores done, [1]: the worst answer. */
static void audit_here(uint64_t *progress)
{
    enum result judged = gate_services.audit();
    progress[0]++;
    progress[1] = judged == RESULT_OK ? progress[1] : (uint64_t)(int64_t)judged;
}

/* @impl ATL-LLR-GATE-0028~1 */
void gate_audit_requested(core_id_t from, const struct percpu_message *request)
{
    struct percpu_message reply = *request;
    audit_here(reply.arguments);
    percpu_channel_reply(from, &reply);
}

/* The progress travels through the cores; the call repeats for each next one. */
static int64_t audit_all(void)
{
    struct thread *thread = percpu_current;
    uint64_t *progress = thread->gate_work;
    if (progress[0] == percpu_self.value) {
        audit_here(progress);
    }
    if (progress[0] >= percpu_core_count) {
        int64_t worst = (int64_t)progress[1];
        progress[0] = progress[1] = 0;
        return worst;
    }
    const struct percpu_message request = {.kind = PERCPU_MESSAGE_AUDIT,
                                           .arguments = {progress[0], progress[1]}};
    thread->resume = RESUME_RESTART;
    return gate_request_or_repeat((core_id_t){(uint16_t)progress[0]}, request,
                                  gate_repeat_with_reply);
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
    } else if (thread->gate_work[0] == 0) {
        thread->resume = RESUME_RESTART;
        return gate_request_or_repeat(target,
                                      (struct percpu_message){.kind = PERCPU_MESSAGE_INFORMATION},
                                      gate_repeat_with_reply);
    }
    return gate_copy_to_user(buffer, gate_staging_of_remote(target, GATE_STAGING_COUNTS), bytes);
}

/* @impl ATL-LLR-GATE-0028~1 */
int64_t gate_handle_information(uint64_t kind, uint64_t argument, uint64_t buffer, uint64_t bytes,
                                uint64_t)
{
    if (kind == GATE_INFORMATION_CORE) {
        return counts_copy(argument, buffer, bytes);
    }
    if (kind == GATE_INFORMATION_AUDIT && argument == 0 && buffer == 0 && bytes == 0) {
        return audit_all();
    }
    return RESULT_INVALID;
}
