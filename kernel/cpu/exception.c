/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/exception.h>

/* Labels of the copy (user_copy.S): only loads and stores that may fault touch memory between the
 * first and the last. */
extern const uint8_t cpu_user_copy_words[], cpu_user_copy_bytes[], cpu_user_copy_done[];

/* @impl ATL-LLR-BOOT-0010~1 */
uint64_t cpu_exception_fixup(uint64_t rip)
{
    if (rip < (uint64_t)cpu_user_copy_words || rip >= (uint64_t)cpu_user_copy_done) {
        return 0;
    }
    bool is_by_bytes = rip >= (uint64_t)cpu_user_copy_bytes;
    return (uint64_t)(is_by_bytes ? cpu_user_copy_done : cpu_user_copy_bytes);
}
