/* SPDX-License-Identifier: Apache-2.0 */
/* In debug images: each signal is told to the debugger before it is delivered, and may be changed
 * or dropped by it (debug/include/debug/table.h). In place of posix_signal_take_to_deliver; the
 * linker sees to it. */
#include "internal.h"
#include "noted.h"

bool __wrap_posix_signal_take_to_deliver(struct posix_thread *self, uint64_t set,
                                         struct posix_signal_info *info);

/* What is to be delivered instead. The label is the only one: not inlined. */
__attribute__((noinline)) static uint64_t ask(const struct posix_signal_info *info,
                                              const struct gate_frame *frame)
{
    uint64_t wanted = (uint64_t)info->signal;
    __asm__ volatile(".globl posix_debug_signal\nposix_debug_signal: int3"
                     : "+a"(wanted)
                     : "D"(wanted), "S"(info), "d"(frame)
                     : "memory");
    return wanted;
}

/* @impl ATL-LLR-DEBUG-0760~1 */
bool __wrap_posix_signal_take_to_deliver(struct posix_thread *self, uint64_t set,
                                         struct posix_signal_info *info)
{
    while (posix_signal_take(self, set, info)) {
        uint64_t wanted = ask(info, self->frame);
        if (wanted == (uint64_t)info->signal) {
            posix_note_signal(info);
            return true;
        }
        if (wanted > 0 && wanted <= POSIX_SIGNAL_COUNT) {
            *info = (struct posix_signal_info){.signal = (int32_t)wanted, .code = SI_USER};
            posix_note_signal(info);
            return true;
        }
    }
    return false;
}
