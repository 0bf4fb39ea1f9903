/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers and control-register bits by their names in the SDM, volumes 3 and 4. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#define MSR_APIC_BASE 0x1bu
#define MSR_APIC_BASE_X2APIC (1ull << 10)
#define MSR_APIC_BASE_ENABLE (1ull << 11)
#define MSR_APIC_BASE_ADDRESS 0x000ffffffffff000ull
#define MSR_ARCH_CAPABILITIES 0x10au
#define MSR_ARCH_CAPABILITIES_RDCL_NO 1ull
#define MSR_X2APIC 0x800u
#define MSR_EFER 0xc0000080u
#define MSR_EFER_SCE 1ull
#define MSR_EFER_LME (1ull << 8)
#define MSR_EFER_LMA (1ull << 10)
#define MSR_EFER_NXE (1ull << 11)
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u
#define MSR_TSC_AUX 0xc0000103u
#define MSR_KVM_WALL_CLOCK 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u

#define CR0_PE 1ull
#define CR0_MP (1ull << 1)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_PG (1ull << 31)

#define CR4_PAE (1ull << 5)
#define CR4_MCE (1ull << 6)
#define CR4_PGE (1ull << 7)
#define CR4_OSFXSR (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP (1ull << 11)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)

#define XCR0_X87 1ull
#define XCR0_SSE 2ull
#define XCR0_AVX 4ull
#define XCR0_AVX512 0xe0ull

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_IF (1ull << 9)
#define RFLAGS_DF (1ull << 10)
#define RFLAGS_NT (1ull << 14)
#define RFLAGS_AC (1ull << 18)

#endif
