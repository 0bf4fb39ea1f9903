/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's calls in the trace: a second table of handlers, each of which notes the call and its
 * end around the handler of the first. The entry path goes by the table, so that other kernels have
 * nothing of this. A call that waits is repeated from its beginning, and noted again then. */
#include "../../isolation/gate/internal.h"
#include "announce.h"

#include <percpu/trace.h>

void __real_gate_handlers_choose(uint32_t calls);
void __wrap_gate_handlers_choose(uint32_t calls);

/* The handlers that this image allows: written by core 0 before seal, read by all. */
static SHARED gate_handler shared_handlers[GATE_CALL_COUNT];

static int64_t traced(uint32_t number, const uint64_t arguments[5])
{
    percpu_trace(TRACE_GATE_ENTER, number, arguments[0], arguments[1]);
    int64_t result = shared_handlers[number](arguments[0], arguments[1], arguments[2], arguments[3],
                                             arguments[4]);
    percpu_trace(TRACE_GATE_LEAVE, number, (uint64_t)result, 0);
    return result;
}

#define GATE_CALL(number, name, arguments)                                                         \
    static int64_t traced_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)       \
    {                                                                                              \
        return traced(number, (const uint64_t[]){a, b, c, d, e});                                  \
    }
#include <gate_table.inc>
#undef GATE_CALL

static const gate_handler traced_handlers[GATE_CALL_COUNT] = {
#define GATE_CALL(number, name, arguments) [number] = traced_##name,
#include <gate_table.inc>
#undef GATE_CALL
};

/* @impl ATL-LLR-DEBUG-0600~1 */
void __wrap_gate_handlers_choose(uint32_t calls)
{
    __real_gate_handlers_choose(calls);
    for (uint32_t number = 0; number < GATE_CALL_COUNT; number++) {
        shared_handlers[number] = shared_gate_handlers[number];
        shared_gate_handlers[number] = traced_handlers[number];
    }
    trace_announce();
}
