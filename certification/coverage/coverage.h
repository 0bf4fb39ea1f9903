/* SPDX-License-Identifier: Apache-2.0 */
/* Coverage builds only (-DATOLL_COVERAGE=ON): writes this core's counters.
 *
 * Counters and MC/DC bitmaps lie in .percore (percore.ld): each core counts for itself without a
 * shared writable page, and the audit sees nothing new. So a dump holds what its own core did. What
 * does not change at run time (function records, names) stays in kernel.elf, unloaded; run.py joins
 * both to a raw profile and merges the profiles of many runs. */
#ifndef CERTIFICATION_COVERAGE_COVERAGE_H
#define CERTIFICATION_COVERAGE_COVERAGE_H

#include <stdint.h>

/* Writes one frame: "\n@coverage <bytes of counters> <bytes of bitmap>\n" (8 hexadecimal digits
 * each), counters, bitmap, "\n@end\n".
 *
 * @put        writes one byte, normally to port 0xe9 (QEMU: -debugcon file:...)
 * Context:    any core whose .percore is mapped; once, right before power-off; only reads */
void coverage_dump(void (*put)(uint8_t byte));

#endif
