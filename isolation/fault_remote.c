/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of this core's threads in slots of other cores: the owner of the slot is asked, with
 * frames of this core already zeroed; it answers how many it has mapped, or which image page the
 * first must be a copy of. The frames stay this core's while they travel (thread->work). */
#include "physical.h"
#include "space.h"

#include <percpu/frames.h>
#include <percpu/scheduler.h>

/* The page behind the last one that was filled in a foreign slot: the next fault there brings more
 * than one frame. */
static PERCORE uint64_t expected_next;

static void fault_continue(struct thread *thread, const struct percpu_message *reply);

static enum result allocate_frames(uint32_t wanted, uint64_t *frames)
{
    paddr_t first;
    if (wanted == 1 || percpu_frame_run_allocate(wanted, &first) != RESULT_OK) {
        TRY(percpu_frame_allocate(&first));
        wanted = 1;
    }
    for (uint32_t n = 0; n < wanted; n++) {
        physical_page_zero((paddr_t){first.value + n * PAGE_BYTES});
    }
    *frames = first.value | wanted;
    return RESULT_OK;
}

/* Frees the frames that travelled with the thread's fault, but the first `keep`. */
static void free_frames(struct thread *thread, uint64_t keep)
{
    uint64_t first = ALIGN_DOWN(thread->work[WORK_FRAMES], PAGE_BYTES);
    uint64_t count = thread->work[WORK_FRAMES] % PAGE_BYTES;
    for (uint64_t n = keep; n < count; n++) {
        percpu_frame_free((paddr_t){first + n * PAGE_BYTES});
    }
    thread->work[WORK_FRAMES] = 0;
}

/* The thread WAITs; sends now, or when there is a credit. */
static void send_or_await(struct thread *thread)
{
    core_id_t owner = isolation_slot_owner(thread->work[WORK_FAULT]);
    const struct cell *cell = thread->cell;
    const struct percpu_message request = {
        .kind = PERCPU_MESSAGE_FAULT,
        .token = percpu_thread_handle(thread),
        .arguments = {cell->id, ALIGN_DOWN(thread->work[WORK_FAULT], PAGE_BYTES),
                      thread->work[WORK_FAULT] % PAGE_BYTES, thread->work[WORK_FRAMES],
                      thread->work[WORK_IMAGE]},
    };
    thread->continuation = fault_continue;
    if (percpu_channel_request(owner, &request) != RESULT_OK) {
        percpu_channel_await_credit(owner, thread);
    }
}

/* @impl ATL-LLR-ISOL-0013~1 */
enum result fault_ask_owner(struct thread *thread, uint64_t key)
{
    bool is_next = ALIGN_DOWN(key, PAGE_BYTES) == expected_next;
    thread->work[WORK_FAULT] = key;
    thread->work[WORK_IMAGE] = 0;
    TRY(allocate_frames(is_next ? FAULT_AROUND_PAGES : 1, &thread->work[WORK_FRAMES]));
    percpu_thread_wait(thread, fault_continue);
    send_or_await(thread);
    return SPACE_PENDING;
}

static void copy_image(struct thread *thread, paddr_t image)
{
    ASSERT(physical_is_image(image) && thread->work[WORK_FRAMES] % PAGE_BYTES > 0);
    uint64_t first = ALIGN_DOWN(thread->work[WORK_FRAMES], PAGE_BYTES);
    free_frames(thread, 1);
    physical_page_copy((paddr_t){first}, image);
    thread->work[WORK_FRAMES] = first | 1;
    thread->work[WORK_IMAGE] = image.value;
}

void fault_verdict_keep(struct thread *thread, int32_t status)
{
    if (status != RESULT_OK && status != RESULT_AGAIN) {
        thread->work[WORK_VERDICT] = (uint64_t)(int64_t)status;
        thread->work[WORK_VERDICT_AT] = thread->work[WORK_FAULT];
        thread->work[WORK_VERDICT_RIP] = thread->frame.rip;
    }
}

enum result fault_verdict_take(struct thread *thread, uint64_t key)
{
    enum result verdict = (enum result)(int64_t)thread->work[WORK_VERDICT];
    bool is_same =
        thread->work[WORK_VERDICT_AT] == key && thread->work[WORK_VERDICT_RIP] == thread->frame.rip;
    thread->work[WORK_VERDICT] = 0;
    return is_same ? verdict : RESULT_OK;
}

static void fault_continue(struct thread *thread, const struct percpu_message *reply)
{
    if (reply == NULL) {
        send_or_await(thread);
        return;
    }
    uint64_t used = reply->arguments[SPACE_USED];
    uint64_t image = reply->arguments[SPACE_COPY_OF];
    if (reply->status == RESULT_OK && image != thread->work[WORK_IMAGE]) {
        copy_image(thread, (paddr_t){image});
        send_or_await(thread);
        return;
    }
    ASSERT(used <= thread->work[WORK_FRAMES] % PAGE_BYTES);
    if (used > 0) {
        expected_next = ALIGN_DOWN(thread->work[WORK_FAULT], PAGE_BYTES) + used * PAGE_BYTES;
    }
    free_frames(thread, used);
    fault_verdict_keep(thread, reply->status);
    percpu_thread_ready(thread);
}
