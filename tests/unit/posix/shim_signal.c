/* SPDX-License-Identifier: Apache-2.0 */
#include "shim_signal.h"

#include <core/internal.h>
#include <posix/detour.h>

uint64_t shim_repeated_number, shim_repeated_count;

void shim_set_frame(struct gate_frame *frame)
{
    posix_self()->frame = frame;
}

void shim_leave(struct gate_frame *frame, uint64_t number)
{
    posix_self()->call = number;
    posix_self()->frame = frame;
    *frame = *posix_leave(frame);
}

void shim_fault(int32_t signal, int32_t code, uint64_t address)
{
    struct posix_signal_info info = {.signal = signal, .code = code};
    info.fault.address = address;
    posix_self()->fault = (struct posix_signal_fault){14, 6, address};
    posix_signal_force(&info);
}

uint64_t posix_detour_shown(uint64_t rip, uint64_t rcx)
{
    (void)rcx;
    return rip == SHIM_TRAMPOLINE ? SHIM_SITE : rip;
}

uint64_t posix_detour_taken(uint64_t rip)
{
    return rip == SHIM_SITE ? SHIM_TRAMPOLINE : rip;
}

int64_t posix_syscall_invoke(uint64_t number, const struct gate_frame *frame)
{
    (void)frame;
    shim_repeated_number = number;
    shim_repeated_count++;
    return 77;
}
