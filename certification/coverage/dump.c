/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the counters of a coverage build. Takes the place of compiler-rt's runtime, which needs a
 * C library, vector registers and thread-local storage. Never instrumented itself. */
#include "coverage.h"

/* Bounds from percore.ld. */
extern const uint8_t coverage_counters_begin[], coverage_counters_end[];
extern const uint8_t coverage_bitmap_begin[], coverage_bitmap_end[];

/* Every instrumented object refers to this name so that a runtime is linked: this one. */
extern const int __llvm_profile_runtime;
const int __llvm_profile_runtime = 0;

static uint64_t bytes_between(const uint8_t *begin, const uint8_t *end)
{
    return (uint64_t)((uintptr_t)end - (uintptr_t)begin);
}

static void put_bytes(void (*put)(uint8_t byte), const void *bytes, uint64_t count)
{
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < count; i++) {
        put(at[i]);
    }
}

static void put_number(void (*put)(uint8_t byte), uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    put(' ');
    for (int shift = 28; shift >= 0; shift -= 4) {
        put((uint8_t)digits[(value >> shift) & 0xf]);
    }
}

/* @impl ATL-LLR-EVID-0020~1 */
void coverage_dump(void (*put)(uint8_t byte))
{
    static const char head[] = "\n@coverage", tail[] = "\n@end\n";
    uint64_t counters_bytes = bytes_between(coverage_counters_begin, coverage_counters_end);
    uint64_t bitmap_bytes = bytes_between(coverage_bitmap_begin, coverage_bitmap_end);
    put_bytes(put, head, sizeof(head) - 1);
    put_number(put, counters_bytes);
    put_number(put, bitmap_bytes);
    put('\n');
    put_bytes(put, coverage_counters_begin, counters_bytes);
    put_bytes(put, coverage_bitmap_begin, bitmap_bytes);
    put_bytes(put, tail, sizeof(tail) - 1);
}
