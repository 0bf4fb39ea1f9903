/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of posix/'s own. */
#include "../core/internal.h"

int64_t posix_service_start(uint32_t core, void (*serve)(void))
{
    void *stack = posix_stack_take(core);
    if (stack == NULL) {
        return -EAGAIN;
    }
    struct posix_thread *record = posix_thread_of_stack(stack);
    *record = (struct posix_thread){.call = POSIX_CALL_NONE, .stack_core = core};
    atomic_store(&record->blocked, UINT64_MAX);
    int64_t handle =
        gate_thread_create(core, (uint64_t)(uintptr_t)posix_service_entry, posix_stack_top(record),
                           (uint64_t)(uintptr_t)serve, POSIX_SERVICE_PRIORITY);
    if (handle < 0) {
        posix_stack_free(stack);
        return -EAGAIN;
    }
    return handle;
}
