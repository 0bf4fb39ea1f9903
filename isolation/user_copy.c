/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between the kernel and the user half of the current root. */
#include "space.h"

#include <cpu/exception.h>

#define COPY_BYTES_MAX 4096u

/* user: the side that lies there. @impl ATL-LLR-ISOL-0016~1 */
static enum result copy(void *to, const void *from, uint64_t user, uint64_t bytes,
                        uint64_t *fault_address)
{
    ASSERT(bytes <= COPY_BYTES_MAX);
    bool is_user = user >= GATE_USER_FLOOR && user < USER_END && bytes <= USER_END - user;
    uint64_t missing = is_user ? cpu_user_copy(to, from, bytes) : bytes;
    *fault_address = user + (bytes - missing);
    return missing == 0 ? RESULT_OK : RESULT_FAULT;
}

enum result isolation_copy_from_user(void *to, uint64_t from, uint64_t bytes,
                                     uint64_t *fault_address)
{
    return copy(to, (const void *)(uintptr_t)from, from, bytes, fault_address);
}

enum result isolation_copy_to_user(uint64_t to, const void *from, uint64_t bytes,
                                   uint64_t *fault_address)
{
    return copy((void *)(uintptr_t)to, from, to, bytes, fault_address);
}
