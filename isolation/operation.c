/* SPDX-License-Identifier: Apache-2.0 */
#include "operation.h"

#include "space.h"

#include <percpu/frames.h>
#include <percpu/operations.h>
#include <percpu/queue.h>
#include <percpu/scheduler.h>

static PERCORE struct operation operations[OPERATIONS_MAX];
/* Stands in a peer's credit queue for all operations that lack a credit, while it has a
 * continuation; in no pool. */
static PERCORE struct thread credit_waiter;
static PERCORE struct thread_queue waiting; /* threads that wait for a record */

/* ---- records */

static void operation_free(struct operation *operation)
{
    ASSERT(operation->frame_count == 0 && operation->unanswered == 0 && operation->unasked == 0);
    operation->kind = PERCPU_MESSAGE_NONE;
    struct thread *next = thread_queue_take(&waiting);
    if (next != NULL) {
        percpu_thread_ready(next);
    }
}

/* ---- what pieces note */

void operation_stale(struct operation *operation, uint64_t address, bool has_left)
{
    operation->stale_start = MIN(operation->stale_start, address);
    operation->stale_end = MAX(operation->stale_end, address + PAGE_BYTES);
    operation->has_left |= has_left;
}

void operation_take_frame(struct operation *operation, paddr_t frame, enum entry_frame kind)
{
    if (kind == ENTRY_FRAME_IMAGE) {
        return; /* shared for ever */
    }
    ASSERT(operation->frame_count < PIECE_FRAMES_MAX);
    operation->frames[operation->frame_count++] = frame.value | kind;
}

/* ---- credits. The requests that operations hold unanswered are fewer than the credits, and all
 * other requests of this folder are answered at once, so credits come back; a queue is first come,
 * first served. So every operation gets its turn. */

_Static_assert(OPERATIONS_MAX < PERCPU_REQUESTS_MAX, "a peer's operations leave credits free");

static void retry_all(void);

/* @impl ATL-LLR-ISOL-0017~1 */
static void credit_came(struct thread *waiter, const struct percpu_message *)
{
    ASSERT(waiter == &credit_waiter);
    waiter->continuation = NULL;
    retry_all();
}

/* One queue at a time: who lacks credits elsewhere, too, is found when this one has come. */
static enum result request_or_await(core_id_t core, const struct percpu_message *request)
{
    enum result sent = percpu_channel_request(core, request);
    if (sent != RESULT_OK && credit_waiter.continuation == NULL) {
        credit_waiter.state = THREAD_WAITING;
        credit_waiter.continuation = credit_came;
        percpu_channel_await_credit(core, &credit_waiter);
    }
    return sent;
}

/* ---- the round */

static void round_ask(struct operation *operation)
{
    for (uint64_t rest = operation->unasked; rest != 0; rest &= rest - 1) {
        core_id_t core = {(uint16_t)__builtin_ctzll(rest)};
        const struct percpu_message request = {
            .kind = PERCPU_MESSAGE_INVALIDATE,
            .arguments = {operation->asked.cell->id, operation->stale_start,
                          operation->stale_end - operation->stale_start,
                          (uint64_t)(operation - operations)},
        };
        if (request_or_await(core, &request) == RESULT_OK) {
            operation->unasked &= ~(1ull << core.value);
            operation->unanswered++;
        }
    }
}

/* @impl ATL-LLR-ISOL-0010~1 */
static void round_begin(struct operation *operation)
{
    if (operation->stale_end != 0) {
        percpu_operation_invalidate(operation->stale_start,
                                    operation->stale_end - operation->stale_start);
    }
    for (uint16_t core = 0; operation->has_left && core < percpu_core_count; core++) {
        if (core != percpu_self.value &&
            percpu_cell_may_hold_remote((core_id_t){core}, operation->asked.cell->id)) {
            operation->unasked |= 1ull << core;
        }
    }
}

static void answer_invalidate(core_id_t from, const struct percpu_message *request)
{
    if (request->arguments[2] != 0) {
        percpu_operation_invalidate(request->arguments[1], request->arguments[2]);
    }
    percpu_channel_reply(from, request);
}

/* ---- frames after the round */

/* Adds a frame to the runs of a message; false: no room. Frames come in falling order where a piece
 * took out rising addresses, so a run grows downwards. */
static bool run_add(uint64_t runs[static PERCPU_MESSAGE_ARGUMENTS], uint32_t *count, paddr_t frame)
{
    if (*count > 0 && frame.value + PAGE_BYTES == ALIGN_DOWN(runs[*count - 1], PAGE_BYTES)) {
        runs[*count - 1] = frame.value | (runs[*count - 1] % PAGE_BYTES + 1);
        return true;
    }
    if (*count == PERCPU_MESSAGE_ARGUMENTS) {
        return false;
    }
    runs[(*count)++] = frame.value | 1;
    return true;
}

/* One message for the owner of the last frame, with the frames at the end that are its own, too, as
 * many as fit. False: no credit. Seldom: apart from the way of own frames. */
__attribute__((noinline)) static bool return_some(struct operation *operation)
{
    struct percpu_message request = {.kind = PERCPU_MESSAGE_FRAMES_RETURN};
    const uint64_t *frames = operation->frames;
    uint32_t left = operation->frame_count, runs = 0;
    core_id_t owner = percpu_frame_owner_remote((paddr_t){frames[left - 1] & ENTRY_ADDRESS});
    for (; left > 0; left--) {
        paddr_t frame = {frames[left - 1] & ENTRY_ADDRESS};
        if (percpu_frame_owner_remote(frame).value != owner.value ||
            !run_add(request.arguments, &runs, frame)) {
            break;
        }
    }
    if (request_or_await(owner, &request) != RESULT_OK) {
        return false;
    }
    operation->frame_count = left;
    return true;
}

/* False: no credit. @impl ATL-LLR-ISOL-0011~1 */
static bool give_frames(struct operation *operation)
{
    while (operation->frame_count > 0) { /* each turn gives at least one of them */
        uint64_t last = operation->frames[operation->frame_count - 1];
        if ((last & ~ENTRY_ADDRESS) == ENTRY_FRAME_OWN) {
            percpu_frame_free((paddr_t){last & ENTRY_ADDRESS});
            operation->frame_count--;
        } else if (!return_some(operation)) {
            return false;
        }
    }
    return true;
}

static void take_returned(core_id_t from, const struct percpu_message *request)
{
    for (unsigned i = 0; i < PERCPU_MESSAGE_ARGUMENTS && request->arguments[i] != 0; i++) {
        uint64_t first = ALIGN_DOWN(request->arguments[i], PAGE_BYTES);
        for (uint64_t n = 0; n < request->arguments[i] % PAGE_BYTES; n++) {
            percpu_frame_free((paddr_t){first + n * PAGE_BYTES});
        }
    }
    percpu_channel_reply(from, request);
}

/* ---- the life of an operation */

/* Lets others run before the next piece. */
static void give_way(struct operation *operation)
{
    struct thread *thread = operation->asked.thread;
    if (thread == NULL) {
        operation->stale_start = operation->stale_end = 0;
        operation->unasked = 1ull << operation->asked.from.value;
        round_ask(operation);
        return;
    }
    if (thread->state == THREAD_RUNNING) {
        percpu_thread_wait(thread, NULL);
    }
    thread->work[WORK_OPERATION] = (uint64_t)(operation - operations) + 1;
    thread->resume = RESUME_RESTART;
    percpu_thread_ready(thread);
}

static void run_piece(struct operation *operation)
{
    operation->stale_start = UINT64_MAX;
    operation->stale_end = 0;
    operation->has_left = false;
    if (operation->kind == PERCPU_MESSAGE_FAULT) {
        fault_piece(operation);
    } else {
        range_piece(operation);
    }
}

/* Until the operation is at its end: true; or waits for an answer or a credit, or gives way. One
 * piece for each entry of the kernel; a fault's two pieces are one page. */
static bool advance(struct operation *operation)
{
    for (bool has_run = false;; has_run = true) {
        if (operation->unasked != 0) {
            round_ask(operation);
        }
        if (operation->unasked != 0 || operation->unanswered != 0 || !give_frames(operation)) {
            return false;
        }
        if (operation->is_finished) {
            return true;
        }
        if (has_run && operation->kind != PERCPU_MESSAGE_FAULT) {
            give_way(operation);
            return false;
        }
        run_piece(operation);
        round_begin(operation);
    }
}

/* Advances, and at the end answers and frees the record. Returns the result to a thread that still
 * runs, else SPACE_PENDING. */
static enum result drive(struct operation *operation)
{
    struct thread *thread = operation->asked.thread;
    enum result result = advance(operation) ? operation->result : SPACE_PENDING;
    bool is_running = thread != NULL && thread->state == THREAD_RUNNING;
    if (result == SPACE_PENDING) {
        if (is_running) {
            percpu_thread_wait(thread, NULL);
        }
        return SPACE_PENDING;
    }
    if (thread == NULL) {
        space_answer(&operation->asked, result);
    } else if (!is_running) {
        if (operation->kind != PERCPU_MESSAGE_FAULT) {
            thread->frame.rax = (uint64_t)(int64_t)result;
            thread->resume = RESUME_GATE;
        }
        percpu_thread_ready(thread);
    }
    operation_free(operation);
    return is_running ? result : SPACE_PENDING;
}

enum result operation_run(const struct space_asked *asked)
{
    const uint64_t *arguments = asked->message.arguments;
    struct operation *operation = operations;
    while (operation < &operations[OPERATIONS_MAX] && operation->kind != PERCPU_MESSAGE_NONE) {
        operation++;
    }
    if (operation == &operations[OPERATIONS_MAX]) {
        if (asked->thread == NULL) {
            return RESULT_AGAIN;
        }
        if (asked->message.kind != PERCPU_MESSAGE_FAULT) {
            asked->thread->resume = RESUME_RESTART;
        }
        percpu_thread_wait(asked->thread, NULL);
        thread_queue_append(&waiting, asked->thread);
        return SPACE_PENDING;
    }
    /* Its counts are 0. */
    operation->kind = asked->message.kind;
    operation->is_finished = operation->is_prepared = false;
    operation->result = RESULT_OK;
    operation->asked = *asked;
    operation->root = space_root(asked->cell, arguments[SPACE_ADDRESS]);
    operation->start = operation->cursor = arguments[SPACE_ADDRESS];
    operation->end = arguments[SPACE_ADDRESS] + arguments[SPACE_BYTES];
    operation->flags = arguments[SPACE_FLAGS];
    operation->rights = (uint32_t)arguments[SPACE_PROTECTION];
    return drive(operation);
}

enum result operation_resume(struct thread *thread)
{
    uint64_t index = thread->work[WORK_OPERATION] - 1;
    ASSERT(index < OPERATIONS_MAX);
    struct operation *operation = &operations[index];
    ASSERT(operation->asked.thread == thread && !operation->is_finished);
    ASSERT(operation->unasked == 0 && operation->unanswered == 0);
    thread->work[WORK_OPERATION] = 0;
    return drive(operation);
}

static void retry_all(void)
{
    for (uint16_t i = 0; i < OPERATIONS_MAX; i++) {
        if (operations[i].unasked != 0 || operations[i].frame_count != 0) {
            (void)drive(&operations[i]);
        }
    }
}

/* ---- messages */

static void invalidate_answered(core_id_t, const struct percpu_message *reply)
{
    ASSERT(reply->arguments[3] < OPERATIONS_MAX);
    struct operation *operation = &operations[reply->arguments[3]];
    ASSERT(operation->kind != PERCPU_MESSAGE_NONE && operation->unanswered > 0);
    operation->unanswered--;
    if (operation->unanswered == 0 && operation->unasked == 0) {
        (void)drive(operation);
    }
}

void operation_register_handlers(void)
{
    percpu_channel_handle(PERCPU_MESSAGE_INVALIDATE, answer_invalidate, invalidate_answered);
    percpu_channel_handle(PERCPU_MESSAGE_FRAMES_RETURN, take_returned, NULL);
}
