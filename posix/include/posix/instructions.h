/* SPDX-License-Identifier: Apache-2.0 */
/* Single instructions that C cannot say and that user mode may execute. */
#ifndef POSIX_INSTRUCTIONS_H
#define POSIX_INSTRUCTIONS_H

#include <stdint.h>

/* CRC-32C over 8 bytes or 1. SDM volume 2, "CRC32": SSE4.2, general registers only. */
static inline uint32_t instruction_crc32_u64(uint32_t crc, uint64_t value)
{
    uint64_t wide = crc;
    __asm__("crc32q %1, %0" : "+r"(wide) : "rm"(value));
    return (uint32_t)wide;
}

static inline uint32_t instruction_crc32_u8(uint32_t crc, uint8_t value)
{
    __asm__("crc32b %1, %0" : "+r"(crc) : "rm"(value));
    return crc;
}

struct instruction_cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

/* SDM volume 2, "CPUID". */
static inline struct instruction_cpuid_result instruction_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct instruction_cpuid_result result = {.eax = leaf, .ecx = subleaf};
    __asm__ volatile("cpuid"
                     : "+a"(result.eax), "=b"(result.ebx), "+c"(result.ecx), "=d"(result.edx));
    return result;
}

/* The bases of FS and GS and the control words of floating point, which a new thread inherits. SDM
 * volume 2, "RDFSBASE/RDGSBASE", "WRFSBASE/WRGSBASE", "STMXCSR", "LDMXCSR", "FNSTCW", "FLDCW". */
static inline uint64_t instruction_rdfsbase(void)
{
    uint64_t value;
    __asm__ volatile("rdfsbase %0" : "=r"(value));
    return value;
}

static inline void instruction_wrfsbase(uint64_t value)
{
    __asm__ volatile("wrfsbase %0" : : "r"(value));
}

static inline uint64_t instruction_rdgsbase(void)
{
    uint64_t value;
    __asm__ volatile("rdgsbase %0" : "=r"(value));
    return value;
}

static inline void instruction_wrgsbase(uint64_t value)
{
    __asm__ volatile("wrgsbase %0" : : "r"(value));
}

static inline uint32_t instruction_stmxcsr(void)
{
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}

static inline void instruction_ldmxcsr(uint32_t value)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(value));
}

static inline uint16_t instruction_fnstcw(void)
{
    uint16_t value;
    __asm__ volatile("fnstcw %0" : "=m"(value));
    return value;
}

static inline void instruction_fldcw(uint16_t value)
{
    __asm__ volatile("fldcw %0" : : "m"(value));
}

static inline uint16_t instruction_fnstsw(void)
{
    uint16_t value;
    __asm__ volatile("fnstsw %0" : "=m"(value));
    return value;
}

/* The x87 state as after reset: control word 0x37f. */
static inline void instruction_fninit(void)
{
    __asm__ volatile("fninit");
}

static inline uint64_t instruction_read_cs(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cs, %0" : "=r"(value));
    return value;
}

static inline uint64_t instruction_read_ss(void)
{
    uint64_t value;
    __asm__ volatile("mov %%ss, %0" : "=r"(value));
    return value;
}

/* The stack pointer. Without `volatile`: what is made of it in a function may be kept. */
static inline uint64_t instruction_rsp(void)
{
    uint64_t value;
    __asm__("mov %%rsp, %0" : "=r"(value));
    return value;
}

/* RDTSC, where a few instructions earlier or later do not matter. */
static inline uint64_t instruction_rdtsc(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* RDTSCP: the time, and as what the kernel numbers the core of that instant. SDM volume 2,
 * "RDTSCP".
 */
static inline uint64_t instruction_rdtscp(uint32_t *core)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*core));
    return (uint64_t)high << 32 | low;
}

/* RDTSC, not before earlier loads: or time could seem to go back between cores. SDM volume 2,
 * "RDTSC". */
static inline uint64_t instruction_rdtsc_ordered(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

#endif
