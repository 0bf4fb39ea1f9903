/* SPDX-License-Identifier: Apache-2.0 */
/* What a debugger below the gate may know of posix/: where threads keep their id and name, and
 * where the program started. Constant but for the start, which core/start.c fills in. */
#include "debug.h"

#include "internal.h"

struct debug_table posix_debug_table = {
    .magic = DEBUG_TABLE_MAGIC,
    .version = DEBUG_TABLE_VERSION,
    .stack_bytes = POSIX_STACK_BYTES,
    .record_bytes = POSIX_RECORD_BYTES,
    .id_offset = offsetof(struct posix_thread, id),
    .name_offset = offsetof(struct posix_thread, name),
    .call_offset = offsetof(struct posix_thread, call),
};
_Static_assert(POSIX_THREAD_NAME_BYTES == DEBUG_NAME_BYTES, "the stub reads names");

/* @impl ATL-LLR-DEBUG-0024~1 */
void posix_debug_started(const struct posix_program *program)
{
    posix_debug_table.stack = program->stack;
    __atomic_store_n(&posix_debug_table.entry, program->entry, __ATOMIC_RELEASE);
}
