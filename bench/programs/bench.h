/* SPDX-License-Identifier: Apache-2.0 */
/* Marks and sections of a measured program. A program announces each section on standard output as
 * `section NUMBER OPERATIONS NAME`, or `skipped NUMBER WHY`; ./atoll bench divides what the plugin
 * counted by OPERATIONS. */
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>

/* The plugin knows these instructions by their displacement; on every machine they do nothing. */
#define BENCH_MARK(number)                                                                         \
    __asm__ __volatile__(".byte 0x0f, 0x1f, 0x80, %c0, 0x11, 0x70, 0x0a" ::"i"(number) : "memory")
#define BENCH_HERE() BENCH_MARK(127)
#define BENCH_BEGIN(section) BENCH_MARK(section)
#define BENCH_END(section) BENCH_MARK((section) + 128)

/* Quanta of fixed work on one core: begin once, next at the end of each, report once. */
#define BENCH_QUANTUM(number)                                                                      \
    __asm__ __volatile__(".byte 0x0f, 0x1f, 0x80, %c0, 0x11, 0x70, 0x0b" ::"i"(number) : "memory")
#define BENCH_QUANTA_BEGIN() BENCH_QUANTUM(0)
#define BENCH_QUANTUM_NEXT() BENCH_QUANTUM(1)
#define BENCH_QUANTA_REPORT() BENCH_QUANTUM(2)

static inline void bench_section(int section, long operations, const char *name)
{
    printf("section %d %ld %s\n", section, operations, name);
}

static inline void bench_skip(int section, const char *why)
{
    printf("skipped %d %s\n", section, why);
}

#endif
