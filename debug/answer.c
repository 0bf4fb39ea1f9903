/* SPDX-License-Identifier: Apache-2.0 */
/* What a stopped core does for core 0: only the core itself reads and writes what is its own. */
#include "internal.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <isolation/audit.h>
#include <percpu/frames.h>

static struct debug_thread describe(const struct thread *thread)
{
    return (struct debug_thread){
        .handle = percpu_thread_handle(thread),
        .rip = thread->frame.rip,
        .rsp = thread->frame.rsp,
        .stack = thread->words[0],
        .run_ns = thread->run_ns,
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

static int64_t counts(uint8_t *answer)
{
    struct gate_core_counts counts = gate_counts;
    counts.frames_free = percpu_frames_free_count;
    counts.frames_total = percpu_frames_total_count;
    counts.threads_live = percpu_threads_live;
    memcpy(answer, &counts, sizeof(counts));
    return RESULT_OK;
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
    debug_registers_read(thread, (struct debug_registers *)answer);
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
        return registers(question, data, answer);
    case DEBUG_QUESTION_AUDIT:
        return isolation_audit(&report);
    case DEBUG_QUESTION_COUNTS:
        return counts(answer);
    }
    return RESULT_INVALID;
}
