/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, by GDB's numbers, which are not Linux's throughout (GDB, include/gdb/signals.def); and
 * what is known of the last one. */
#include "server.h"

#include "../isolation/cell.h"

#include <cpu/string.h>
#include <gate/gate.h>

#define LINUX_SIGNALS 64u
#define LINUX_TRAP 5
#define LINUX_INTERRUPT 2
#define CODE_USER 0
#define CODE_KERNEL 0x80
#define CODE_TRACE 2
#define CODE_HARDWARE 4

/* @impl ATL-LLR-DEBUG-0761~1 */
uint32_t debug_signal_number(uint64_t signal)
{
    static const uint8_t others[32] = {
        [7] = 10,  [10] = 30, [12] = 31, [16] = 143, [17] = 20, [18] = 19,
        [19] = 17, [20] = 18, [23] = 16, [29] = 23,  [30] = 32, [31] = 12};
    if (signal < ARRAY_COUNT(others)) {
        return others[signal] != 0 ? others[signal] : (uint32_t)signal;
    }
    if (signal == 32) {
        return 77;
    }
    return signal < LINUX_SIGNALS ? (uint32_t)signal + 12 : 78; /* SIG33 is 45 */
}

bool debug_signal_is_of_exception(uint64_t signal)
{
    const uint32_t of_exceptions = 1u << 4 | 1u << 5 | 1u << 7 | 1u << 8 | 1u << 11;
    return signal < 32 && (of_exceptions >> signal & 1) != 0;
}

uint32_t debug_signal_of_number(uint32_t number)
{
    for (uint32_t signal = 1; signal <= LINUX_SIGNALS && number != 0; signal++) {
        if (debug_signal_number(signal) == number) {
            return signal;
        }
    }
    return 0;
}

/* @impl ATL-LLR-DEBUG-0762~1 */
bool debug_signal_information(const struct debug_event *event, struct debug_siginfo *out)
{
    *out = (struct debug_siginfo){.signal = LINUX_TRAP, .code = CODE_KERNEL};
    switch (event->kind) {
    case DEBUG_EVENT_SIGNAL:
        return debug_memory_read(gate_cell.root.value, event->address, out, sizeof(*out)) ==
               sizeof(*out);
    case DEBUG_EVENT_STEP:
        out->code = CODE_TRACE;
        return true;
    case DEBUG_EVENT_HARDWARE:
    case DEBUG_EVENT_WATCH:
        out->code = CODE_HARDWARE;
        return true;
    case DEBUG_EVENT_NONE:
        out->signal = LINUX_INTERRUPT;
        out->code = CODE_USER;
        return true;
    default:
        return true;
    }
}
