/* SPDX-License-Identifier: Apache-2.0 */
/* The debug registers: SDM volume 3, "Debug registers". One instruction for each function, as in
 * cpu/instructions.h, but not part of a kernel without the stub. */
#ifndef DEBUG_INSTRUCTIONS_H
#define DEBUG_INSTRUCTIONS_H

#include <stdint.h>

static inline void debug_write_dr0(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(value) : "memory");
}

static inline void debug_write_dr1(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr1" : : "r"(value) : "memory");
}

static inline void debug_write_dr2(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr2" : : "r"(value) : "memory");
}

static inline void debug_write_dr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr3" : : "r"(value) : "memory");
}

static inline uint64_t debug_read_dr6(void)
{
    uint64_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void debug_write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value) : "memory");
}

static inline void debug_write_dr7(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(value) : "memory");
}

#define DR6_STEP (1ull << 14)
#define DR6_CLEAR 0xffff0ff0ull
#define DR7_CLEAR 0x400ull

#endif
