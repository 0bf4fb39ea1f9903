/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/exception.h>

/* Distances from the field itself, so that the table needs no relocation. */
struct fixup_row {
    int32_t fault, fixup;
};

extern const struct fixup_row __start_cpu_extable[], __stop_cpu_extable[];

static uint64_t target(const int32_t *field)
{
    return (uint64_t)field + (uint64_t)(int64_t)*field;
}

/* @impl ATL-LLR-BOOT-0010~1 */
bool cpu_exception_fixup(uint64_t rip, uint64_t *fixup)
{
    for (const struct fixup_row *row = __start_cpu_extable; row < __stop_cpu_extable; row++) {
        if (target(&row->fault) == rip) {
            *fixup = target(&row->fixup);
            return true;
        }
    }
    return false;
}
