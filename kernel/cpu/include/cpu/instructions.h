/* SPDX-License-Identifier: Apache-2.0 */
/* Privileged and special instructions, one for each function and named after it. The only place
 * with inline assembly; longer sequences are in .S files. Each does what the SDM (volume 2, under
 * the instruction's name) says; a memory clobber stands where the order against memory matters.
 *
 * Error policy: none; a caller knows that its CPU has the instruction. */
#ifndef CPU_INSTRUCTIONS_H
#define CPU_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_id {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpu_id cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpu_id id;
    __asm__ volatile("cpuid"
                     : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
                     : "a"(leaf), "c"(subleaf));
    return id;
}

static inline uint64_t cpu_rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return ((uint64_t)high << 32) | low;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t cpu_rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return ((uint64_t)high << 32) | low;
}

static inline uint8_t cpu_in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void cpu_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void cpu_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint16_t cpu_in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void cpu_invlpg(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void cpu_write_cr0(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline uint64_t cpu_read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void cpu_write_cr3(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline void cpu_write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* What LGDT and LIDT load: SDM volume 3, "Pseudo-descriptor format". */
struct cpu_descriptor_table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static inline void cpu_lgdt(const struct cpu_descriptor_table *table)
{
    __asm__ volatile("lgdt %0" : : "m"(*table) : "memory");
}

static inline void cpu_lidt(const struct cpu_descriptor_table *table)
{
    __asm__ volatile("lidt %0" : : "m"(*table) : "memory");
}

static inline void cpu_ltr(uint16_t selector)
{
    __asm__ volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline void cpu_xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv"
                     :
                     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

/* @area  64-aligned, as large as CPUID leaf 0Dh says for XCR0 */
static inline void cpu_xsave(void *area, uint64_t mask)
{
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
}

static inline void cpu_xsaveopt(void *area, uint64_t mask)
{
    __asm__ volatile("xsaveopt64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
}

static inline void cpu_xrstor(const void *area, uint64_t mask)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
}

static inline uint64_t cpu_read_fs_base(void)
{
    uint64_t base;
    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

static inline uint64_t cpu_read_gs_base(void)
{
    uint64_t base;
    __asm__ volatile("rdgsbase %0" : "=r"(base));
    return base;
}

/* @base  canonical */
static inline void cpu_write_fs_base(uint64_t base)
{
    __asm__ volatile("wrfsbase %0" : : "r"(base) : "memory");
}

/* @base  canonical */
static inline void cpu_write_gs_base(uint64_t base)
{
    __asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
}

static inline void cpu_cli(void)
{
    __asm__ volatile("cli" : : : "memory", "cc");
}

static inline void cpu_hlt(void)
{
    __asm__ volatile("hlt" : : : "memory");
}

/* Waits with interrupts on and returns with them off. One sequence: STI holds interrupts back for
 * one instruction, so none can be lost between it and HLT. */
static inline void cpu_halt_until_interrupt(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory", "cc");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline void cpu_mfence(void)
{
    __asm__ volatile("mfence" : : : "memory");
}

static inline void cpu_lfence(void)
{
    __asm__ volatile("lfence" : : : "memory");
}

/* False: no random number was at hand; *value is 0 then. */
static inline bool cpu_rdrand(uint64_t *value)
{
    bool is_valid;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(is_valid) : : "cc");
    return is_valid;
}

/* False: no seed was at hand; *value is 0 then. */
static inline bool cpu_rdseed(uint64_t *value)
{
    bool is_valid;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(is_valid) : : "cc");
    return is_valid;
}

/* Needs SSE4.2; works on general registers. */
static inline uint64_t cpu_crc32q(uint64_t crc, uint64_t value)
{
    __asm__("crc32q %1, %0" : "+r"(crc) : "rm"(value));
    return crc;
}

#endif
