/* SPDX-License-Identifier: Apache-2.0 */
/* A core that neither the interrupt nor the NMI has brought to a stop: what it has left in memory,
 * looked at through the window of memory.c. Only that core changes its threads: those that wait are
 * whole; of the one that it runs, the registers are nowhere but in the core. Nothing here is
 * trusted further than a number: the core may be writing it. */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"

#include <cpu/string.h>
#include <kernel/region.h>

#define EXTENDED_BYTES 832u /* as far as the upper halves of the YMM registers */

static PERCORE uint8_t answer[DEBUG_DATA_BYTES];

static void look(uint64_t physical, void *to, uint32_t bytes)
{
    for (uint32_t done = 0, piece; done < bytes; done += piece) {
        piece = (uint32_t)MIN(bytes - done, PAGE_BYTES - (physical + done) % PAGE_BYTES);
        debug_memory_physical(physical + done, (uint8_t *)to + done, piece, false);
    }
}

static uint64_t variable(uint32_t core, const void *percore)
{
    uint64_t value;
    look(region_percore_physical(core, percore), &value, sizeof(value));
    return value;
}

static bool thread_at(uint32_t core, uint64_t index, struct thread *copy)
{
    if (index >= shared_regions[core].thread_count) {
        return false;
    }
    look(shared_regions[core].threads.value + index * sizeof(*copy), copy, sizeof(*copy));
    copy->index = (uint16_t)index;
    return true;
}

static bool is_current(uint32_t core, uint64_t index)
{
    return variable(core, &percpu_current) ==
           LAYOUT_DIRECT_BASE + shared_regions[core].threads.value + index * sizeof(struct thread);
}

static int64_t threads(uint32_t core, uint64_t first)
{
    struct debug_thread *out = (void *)answer;
    struct thread thread;
    int64_t count = 0;
    for (uint64_t i = first; count < (int64_t)DEBUG_THREADS_ASKED && thread_at(core, i, &thread);
         i++) {
        if (thread.state != THREAD_FREE) {
            out[count++] = (struct debug_thread){
                .handle = (uint64_t)thread.generation << 32 | (uint64_t)core << 16 | i,
                .rip = thread.frame.rip,
                .rsp = thread.frame.rsp,
                .stack = thread.words[0],
                .run_ns = thread.run_ns,
                .state = thread.state,
                .priority = thread.priority,
                .is_current = is_current(core, i),
                .core = (uint8_t)core,
            };
        }
    }
    return count;
}

static int64_t registers(uint32_t core, uint64_t handle)
{
    static PERCORE uint8_t extended[EXTENDED_BYTES];
    uint64_t index = GATE_THREAD_INDEX(handle);
    struct thread thread;
    if (!thread_at(core, index, &thread) || thread.state == THREAD_FREE ||
        thread.generation != handle >> 32) {
        return RESULT_NO_THREAD;
    }
    if (is_current(core, index)) {
        return RESULT_TIMED_OUT;
    }
    uint32_t stride = percpu_config.extended_stride;
    look(shared_regions[core].extended.value + index * stride, extended,
         MIN(stride, EXTENDED_BYTES));
    thread.extended = extended;
    debug_registers_read(&thread, (struct debug_registers *)answer);
    return RESULT_OK;
}

/* @impl ATL-LLR-DEBUG-1270~1 */
int64_t debug_silent_answer(const struct debug_question *question, const uint8_t **out)
{
    *out = answer;
    switch (question->kind) {
    case DEBUG_QUESTION_READ:
        return debug_memory_read(variable(question->core, &gate_cell.root), question->address,
                                 answer, MIN(question->bytes, DEBUG_DATA_BYTES));
    case DEBUG_QUESTION_THREADS:
        return threads(question->core, question->address);
    case DEBUG_QUESTION_REGISTERS:
    case DEBUG_QUESTION_FRAME:
        return registers(question->core, question->address);
    default:
        return RESULT_TIMED_OUT;
    }
}
