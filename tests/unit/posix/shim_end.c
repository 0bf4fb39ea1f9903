/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread's end needs besides; no test ends a thread of the shim this way. */
#include <core/internal.h>

#include <stdlib.h>

bool posix_thread_remove(struct posix_thread *thread)
{
    (void)thread;
    abort();
}

void posix_stack_give(struct posix_thread *self)
{
    (void)self;
    abort();
}

int64_t gate_thread_exit(uint64_t done)
{
    (void)done;
    abort();
}
