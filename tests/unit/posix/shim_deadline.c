/* SPDX-License-Identifier: Apache-2.0 */
/* The service thread of the deadlines is a host thread. */
#include "shim.h"

#include <core/internal.h>

#include <stdlib.h>

static void serve(void *argument)
{
    (void)argument;
    posix_deadline_serve();
}

void posix_service_entry(void)
{
}

void *posix_stack_take(uint32_t core)
{
    static alignas(POSIX_STACK_BYTES) uint8_t stack[POSIX_STACK_BYTES]; /* one core */
    (void)core;
    return stack;
}

void posix_stack_free(void *stack)
{
    (void)stack;
}

int64_t gate_thread_create(uint64_t core, uint64_t entry, uint64_t stack, uint64_t cookie,
                           uint64_t priority)
{
    (void)core, (void)entry, (void)stack, (void)cookie, (void)priority;
    return shim_id_of(shim_start(serve, NULL)) + 100;
}

void *posix_allocate(size_t bytes)
{
    return calloc(1, bytes);
}

void posix_free(void *memory)
{
    free(memory);
}
