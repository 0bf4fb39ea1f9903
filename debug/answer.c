/* SPDX-License-Identifier: Apache-2.0 */
/* What a stopped core does for core 0: only the core itself reads and writes what is its own. */
#include "internal.h"

#include "../isolation/gate/internal.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <isolation/audit.h>
#include <outbox.h>
#include <percpu/frames.h>

static struct debug_thread describe(const struct thread *thread)
{
    return (struct debug_thread){
        .handle = percpu_thread_handle(thread),
        .rip = thread->frame.rip,
        .rsp = thread->frame.rsp,
        .stack = thread->words[0],
        .run_ns = gate_run_ns(thread),
        .state = thread->state,
        .priority = thread->priority,
        .is_current = thread == percpu_current,
        .core = (uint8_t)percpu_self.value,
    };
}

/* Threads with pool indices from `first` on: how many, 0: no more. */
static int64_t threads(uint64_t first, struct debug_thread *out)
{
    uint32_t count = 0;
    for (uint64_t i = first; i < PERCPU_THREADS_MAX && count < DEBUG_THREADS_ASKED; i++) {
        const struct thread *thread = debug_thread_at(i);
        if (thread == NULL) {
            break;
        }
        if (thread->state != THREAD_FREE) {
            out[count++] = describe(thread);
        }
    }
    return count;
}

/* ---- what a core that runs may be asked, too: bytes of the answer */

static int64_t core(uint8_t *answer)
{
    struct debug_core report = {.now_ns = percpu_operation_now(),
                                .stops = atomic_load(&debug_server()->epoch) / 2,
                                .counts = gate_counts};
    report.current = percpu_current != NULL ? percpu_thread_handle(percpu_current) : 0;
    report.counts.busy_ns = report.now_ns - report.counts.idle_ns;
    report.counts.frames_free = percpu_frames_free_count;
    report.counts.frames_total = percpu_frames_total_count;
    report.counts.threads_live = percpu_threads_live;
    memcpy(answer, &report, sizeof(report));
    return sizeof(report);
}

static int64_t listed(uint64_t first, struct debug_listed *out)
{
    uint32_t count = 0;
    for (uint64_t i = first; i < PERCPU_THREADS_MAX && count < DEBUG_LISTED_ASKED; i++) {
        const struct thread *thread = debug_thread_at(i);
        if (thread == NULL) {
            break;
        }
        if (thread->state != THREAD_FREE) {
            struct debug_thread description = describe(thread);
            out[count++] = debug_list_entry(&description);
        }
    }
    return (int64_t)(count * sizeof(*out));
}

static int64_t channels(struct debug_channel *out)
{
    _Static_assert(CORE_COUNT_MAX * sizeof(*out) <= DEBUG_DATA_BYTES, "all peers at once");
    const struct outbox *own = outbox_own();
    for (uint32_t peer = 0; peer < percpu_core_count; peer++) {
        out[peer] = (struct debug_channel){atomic_load(&own->peers[peer].head),
                                           atomic_load(&own->peers[peer].tail)};
    }
    return (int64_t)(percpu_core_count * sizeof(*out));
}

static int64_t interrupts(uint8_t *answer)
{
    _Static_assert(sizeof(debug_vector_counts) <= DEBUG_DATA_BYTES, "all vectors at once");
    memcpy(answer, debug_vector_counts, sizeof(debug_vector_counts));
    return sizeof(debug_vector_counts);
}

/* ---- the trace ring: kept in one piece, and given away in several */

static PERCORE struct trace_record trace_kept[TRACE_RECORDS];
static PERCORE struct debug_trace trace_state;

static int64_t trace_keep(uint8_t *answer)
{
    uint64_t made = atomic_load(&percpu_trace_ring->count);
    trace_state = (struct debug_trace){made, MIN(made, TRACE_RECORDS)};
    for (uint64_t i = 0; i < trace_state.kept; i++) {
        trace_kept[i] = percpu_trace_ring->records[(made - trace_state.kept + i) % TRACE_RECORDS];
    }
    memcpy(answer, &trace_state, sizeof(trace_state));
    return sizeof(trace_state);
}

static int64_t trace_piece(uint64_t from, uint8_t *answer)
{
    if (from >= trace_state.kept) {
        return 0;
    }
    uint64_t count = MIN(trace_state.kept - from, DEBUG_DATA_BYTES / sizeof(trace_kept[0]));
    memcpy(answer, &trace_kept[from], count * sizeof(trace_kept[0]));
    return (int64_t)(count * sizeof(trace_kept[0]));
}

static int64_t registers(const struct debug_question *question, const uint8_t *data,
                         uint8_t *answer)
{
    struct thread *thread = percpu_thread_find(question->address);
    if (thread == NULL) {
        return RESULT_NO_THREAD;
    }
    if (question->kind == DEBUG_QUESTION_REGISTERS_SET) {
        return debug_registers_write(thread, (const struct debug_registers *)data);
    }
    if (question->kind == DEBUG_QUESTION_DELIVER) {
        memcpy(&thread->frame.rax, data, sizeof(thread->frame.rax));
        return RESULT_OK;
    }
    struct debug_context context = debug_context;
    if (question->kind == DEBUG_QUESTION_FRAME) {
        debug_context.trap = NULL;
    }
    debug_registers_read(thread, (struct debug_registers *)answer);
    debug_context = context;
    return RESULT_OK;
}

int64_t debug_answer(const struct debug_question *question, const uint8_t *data,
                     uint8_t answer[DEBUG_DATA_BYTES])
{
    uint32_t bytes = MIN(question->bytes, DEBUG_DATA_BYTES);
    struct audit_report report;
    switch (question->kind) {
    case DEBUG_QUESTION_READ:
        return debug_memory_read(gate_cell.root.value, question->address, answer, bytes);
    case DEBUG_QUESTION_WRITE:
        return debug_memory_write(gate_cell.root.value, question->address, data, bytes);
    case DEBUG_QUESTION_FILL:
        return debug_memory_fill(question->address);
    case DEBUG_QUESTION_THREADS:
        return threads(question->address, (struct debug_thread *)answer);
    case DEBUG_QUESTION_REGISTERS:
    case DEBUG_QUESTION_REGISTERS_SET:
    case DEBUG_QUESTION_FRAME:
    case DEBUG_QUESTION_DELIVER:
        return registers(question, data, answer);
    case DEBUG_QUESTION_AUDIT:
        return isolation_audit(&report);
    case DEBUG_QUESTION_CORE:
        return core(answer);
    case DEBUG_QUESTION_LISTED:
        return listed(question->address, (struct debug_listed *)answer);
    case DEBUG_QUESTION_CHANNELS:
        return channels((struct debug_channel *)answer);
    case DEBUG_QUESTION_INTERRUPTS:
        return interrupts(answer);
    case DEBUG_QUESTION_TRACE_KEEP:
        return trace_keep(answer);
    case DEBUG_QUESTION_TRACE:
        return trace_piece(question->address, answer);
    case DEBUG_QUESTION_CALLS_BEGIN:
        return debug_calls_begin(question->address);
    case DEBUG_QUESTION_CALLS_SELECT:
        return debug_calls_select(question->address);
    case DEBUG_QUESTION_CALLS_TAKE:
        return debug_calls_take(question->address, answer);
    case DEBUG_QUESTION_CALLS_OPEN:
        return debug_calls_open(question->address, answer);
    case DEBUG_QUESTION_GATE:
        memcpy(answer, debug_gate_counts, sizeof(debug_gate_counts));
        return sizeof(debug_gate_counts);
    case DEBUG_QUESTION_KINDS:
        break;
    }
    return RESULT_INVALID;
}
