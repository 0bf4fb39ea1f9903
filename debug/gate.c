/* SPDX-License-Identifier: Apache-2.0 */
/* How often each call of the gate was made: a second table of handlers, each of which counts for
 * its core and calls the handler of the first. The entry path goes by the table, so that other
 * kernels have nothing of this. A call that waits is repeated from its beginning, and counted again
 * then. */
#include "../isolation/gate/internal.h"
#include "internal.h"

void __real_gate_handlers_choose(uint32_t calls);
void __wrap_gate_handlers_choose(uint32_t calls);

/* The handlers that this image allows: written by core 0 before seal, read by all. */
static SHARED gate_handler shared_allowed[GATE_CALL_COUNT];
PERCORE uint64_t debug_gate_counts[GATE_CALL_COUNT];

#define GATE_CALL(number, name, arguments)                                                         \
    static int64_t counted_##name(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)      \
    {                                                                                              \
        debug_gate_counts[number]++;                                                               \
        return shared_allowed[number](a, b, c, d, e);                                              \
    }
#include <gate_table.inc>
#undef GATE_CALL

static const gate_handler counted[GATE_CALL_COUNT] = {
#define GATE_CALL(number, name, arguments) [number] = counted_##name,
#include <gate_table.inc>
#undef GATE_CALL
};

static const char *const names[GATE_CALL_COUNT] = {
#define GATE_CALL(number, name, arguments) [number] = #name,
#include <gate_table.inc>
#undef GATE_CALL
};

const char *debug_gate_name(uint32_t number)
{
    return names[number];
}

/* @impl ATL-LLR-DEBUG-0805~1 */
void __wrap_gate_handlers_choose(uint32_t calls)
{
    __real_gate_handlers_choose(calls);
    for (uint32_t number = 0; number < GATE_CALL_COUNT; number++) {
        shared_allowed[number] = shared_gate_handlers[number];
        shared_gate_handlers[number] = counted[number];
    }
}
