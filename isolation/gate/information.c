/* SPDX-License-Identifier: Apache-2.0 */
/* The information call: counters of any core, copied by that core into its staging page, and the
 * audit of all cores, one after the other. */
#include "internal.h"

#include <cpu/string.h>
#include <percpu/frames.h>
#include <percpu/operations.h>

extern PERCORE uint64_t gate_counts_calls;
extern PERCORE uint64_t gate_counts_reflections;

static void counts_publish(void)
{
    gate_counts.busy_ns = percpu_operation_now() - gate_counts.idle_ns;
    gate_counts.frames_free = percpu_frames_free_count;
    gate_counts.frames_total = percpu_frames_total_count;
    gate_counts.threads_live = percpu_threads_live;
    gate_counts.credits_free = percpu_channel_credits_free();
    gate_counts.credits_total = (uint64_t)PERCPU_REQUESTS_MAX * (percpu_core_count - 1u);
    gate_counts.messages_sent = percpu_messages_sent;
    gate_counts.gate_calls = gate_counts_calls;
    gate_counts.reflections = gate_counts_reflections;
    memcpy(gate_staging_own(GATE_STAGING_COUNTS), &gate_counts, sizeof(gate_counts));
}

/* @impl ATL-LLR-GATE-0028~1 */
void gate_information_requested(core_id_t from, const struct percpu_message *request)
{
    counts_publish();
    gate_reply(from, request, 0);
}

/* @impl ATL-LLR-GATE-0028~1 */
void gate_audit_requested(core_id_t from, const struct percpu_message *request)
{
    gate_reply(from, request, gate_services.audit());
}

/* gate_work[0]: cores done, [1]: the worst answer. The call repeats for each next core. */
static void audit_replied(struct thread *thread, const struct percpu_message *reply)
{
    if (reply->arguments[0] != RESULT_OK) {
        thread->gate_work[1] = reply->arguments[0];
    }
    thread->gate_work[0]++;
    percpu_thread_ready(thread);
}

static int64_t audit_all(void)
{
    struct thread *thread = percpu_current;
    if (thread->gate_work[0] == percpu_self.value) {
        enum result own = gate_services.audit();
        if (own != RESULT_OK) {
            thread->gate_work[1] = (uint64_t)(int64_t)own;
        }
        thread->gate_work[0]++;
    }
    if (thread->gate_work[0] >= percpu_core_count) {
        int64_t worst = (int64_t)thread->gate_work[1];
        thread->gate_work[0] = thread->gate_work[1] = 0;
        return worst;
    }
    thread->resume = RESUME_RESTART;
    return gate_request_or_repeat((core_id_t){(uint16_t)thread->gate_work[0]},
                                  (struct percpu_message){.kind = PERCPU_MESSAGE_AUDIT},
                                  audit_replied);
}

static void counts_replied(struct thread *thread, const struct percpu_message *)
{
    thread->gate_work[0] = 1; /* the repeated call finds the page fresh */
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
    } else if (thread->gate_work[0] == 0) {
        thread->resume = RESUME_RESTART;
        return gate_request_or_repeat(
            target, (struct percpu_message){.kind = PERCPU_MESSAGE_INFORMATION}, counts_replied);
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
