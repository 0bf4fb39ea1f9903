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

/* Functions of one shape: an instruction without operands; */
#define CPU_DEFINE_PLAIN(name_, instruction_)                                                      \
    static inline void name_(void)                                                                 \
    {                                                                                              \
        __asm__ volatile(instruction_ : : : "memory", "cc");                                       \
    }
/* one that takes a 64-bit register; */
#define CPU_DEFINE_WRITE(name_, instruction_)                                                      \
    static inline void name_(uint64_t value)                                                       \
    {                                                                                              \
        __asm__ volatile(instruction_ : : "r"(value) : "memory");                                  \
    }
/* one that writes a 64-bit register which has a number; */
#define CPU_DEFINE_WRITE_NUMBERED(name_, instruction_)                                             \
    static inline void name_(uint32_t number, uint64_t value)                                      \
    {                                                                                              \
        __asm__ volatile(instruction_                                                              \
                         :                                                                         \
                         : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))         \
                         : "memory");                                                              \
    }
/* one that gives a 64-bit register; */
#define CPU_DEFINE_READ(name_, instruction_)                                                       \
    static inline uint64_t name_(void)                                                             \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile(instruction_ : "=r"(value) : : "memory");                                 \
        return value;                                                                              \
    }
/* one that may have no random value to give; */
#define CPU_DEFINE_RANDOM(name_, instruction_)                                                     \
    static inline bool name_(uint64_t *value)                                                      \
    {                                                                                              \
        bool is_valid;                                                                             \
        __asm__ volatile(instruction_ : "=r"(*value), "=@ccc"(is_valid) : : "cc");                 \
        return is_valid;                                                                           \
    }
/* the two that access a port by a width; */
#define CPU_DEFINE_PORT(in_, out_, type_, suffix_)                                                 \
    static inline type_ in_(uint16_t port)                                                         \
    {                                                                                              \
        type_ value;                                                                               \
        __asm__ volatile("in" suffix_ " %1, %0" : "=a"(value) : "Nd"(port) : "memory");            \
        return value;                                                                              \
    }                                                                                              \
    static inline void out_(uint16_t port, type_ value)                                            \
    {                                                                                              \
        __asm__ volatile("out" suffix_ " %0, %1" : : "a"(value), "Nd"(port) : "memory");           \
    }
/* one that moves the parts of the extended state that are in a mask. */
#define CPU_DEFINE_EXTENDED(name_, area_type_, instruction_)                                       \
    static inline void name_(area_type_ *area, uint64_t mask)                                      \
    {                                                                                              \
        __asm__ volatile(instruction_ " (%0)"                                                      \
                         :                                                                         \
                         : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))             \
                         : "memory");                                                              \
    }

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

CPU_DEFINE_WRITE_NUMBERED(cpu_wrmsr, "wrmsr")
CPU_DEFINE_WRITE_NUMBERED(cpu_xsetbv, "xsetbv")

static inline uint64_t cpu_rdtsc(void)
{
    uint64_t low, high; /* 32 bits each: the others are cleared */
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return high << 32 | low;
}

/* A call of the hypervisor, in AMD's way or Intel's. @data is read by it, and by some written.
 * Returns what it answers. */
static inline int64_t cpu_hypercall(bool is_amd, uint64_t call, uint64_t command, const void *data)
{
    if (is_amd) {
        __asm__ volatile("vmmcall" : "+a"(call), "+D"(command), "+S"(data) : : "memory");
    } else {
        __asm__ volatile("vmcall" : "+a"(call), "+D"(command), "+S"(data) : : "memory");
    }
    return (int64_t)call;
}

CPU_DEFINE_PLAIN(cpu_cli, "cli")
CPU_DEFINE_PLAIN(cpu_hlt, "hlt")
CPU_DEFINE_PLAIN(cpu_pause, "pause")
CPU_DEFINE_PLAIN(cpu_mfence, "mfence")
CPU_DEFINE_PLAIN(cpu_lfence, "lfence")
/* Waits with interrupts on and returns with them off. One sequence: STI holds interrupts back for
 * one instruction, so none can be lost between it and HLT. */
CPU_DEFINE_PLAIN(cpu_halt_until_interrupt, "sti\n\thlt\n\tcli")

CPU_DEFINE_READ(cpu_read_cr3, "mov %%cr3, %0")
CPU_DEFINE_READ(cpu_read_fs_base, "rdfsbase %0")
CPU_DEFINE_READ(cpu_read_gs_base, "rdgsbase %0")

CPU_DEFINE_WRITE(cpu_invlpg, "invlpg (%0)")
CPU_DEFINE_WRITE(cpu_ltr, "ltr %w0")
CPU_DEFINE_WRITE(cpu_write_cr0, "mov %0, %%cr0")
CPU_DEFINE_WRITE(cpu_write_cr3, "mov %0, %%cr3")
CPU_DEFINE_WRITE(cpu_write_cr4, "mov %0, %%cr4")
/* The base is canonical. */
CPU_DEFINE_WRITE(cpu_write_fs_base, "wrfsbase %0")
CPU_DEFINE_WRITE(cpu_write_gs_base, "wrgsbase %0")

CPU_DEFINE_PORT(cpu_in8, cpu_out8, uint8_t, "b")
CPU_DEFINE_PORT(cpu_in16, cpu_out16, uint16_t, "w")
CPU_DEFINE_PORT(cpu_in32, cpu_out32, uint32_t, "l")

/* The area is 64-aligned and as large as CPUID leaf 0Dh says for XCR0. */
CPU_DEFINE_EXTENDED(cpu_xsave, void, "xsave64")
CPU_DEFINE_EXTENDED(cpu_xsaveopt, void, "xsaveopt64")
CPU_DEFINE_EXTENDED(cpu_xrstor, const void, "xrstor64")

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

/* False: no random number, or no seed, was at hand; *value is 0 then. */
CPU_DEFINE_RANDOM(cpu_rdrand, "rdrand %0")
CPU_DEFINE_RANDOM(cpu_rdseed, "rdseed %0")

/* CRC-32C: needs SSE4.2; works on general registers. */
static inline uint64_t cpu_crc32q(uint64_t crc, uint64_t value)
{
    __asm__("crc32q %1, %0" : "+r"(crc) : "rm"(value));
    return crc;
}

#endif
