/* SPDX-License-Identifier: Apache-2.0 */
/* Model-specific registers and control-register bits by their names in the SDM, volumes 3 and 4;
 * for C and assembly. */
#ifndef CPU_MSR_H
#define CPU_MSR_H

#define MSR_APIC_BASE 0x1b
#define MSR_APIC_BASE_X2APIC (1 << 10)
#define MSR_APIC_BASE_ENABLE (1 << 11)
#define MSR_APIC_BASE_ADDRESS 0x000ffffffffff000
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_ARCH_CAPABILITIES_RDCL_NO 1
#define MSR_X2APIC 0x800
#define MSR_EFER 0xc0000080
#define MSR_EFER_SCE 1
#define MSR_EFER_LME (1 << 8)
#define MSR_EFER_LMA (1 << 10)
#define MSR_EFER_NXE (1 << 11)
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_TSC_AUX 0xc0000103
#define MSR_KVM_WALL_CLOCK 0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01

#define CR0_PE 1
#define CR0_MP (1 << 1)
#define CR0_ET (1 << 4)
#define CR0_NE (1 << 5)
#define CR0_WP (1 << 16)
#define CR0_AM (1 << 18)
#define CR0_PG 0x80000000

#define CR4_PAE (1 << 5)
#define CR4_MCE (1 << 6)
#define CR4_PGE (1 << 7)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP (1 << 11)
#define CR4_FSGSBASE (1 << 16)
#define CR4_OSXSAVE (1 << 18)
#define CR4_SMEP (1 << 20)
#define CR4_SMAP (1 << 21)

#define XCR0_X87 1
#define XCR0_SSE 2
#define XCR0_AVX 4
#define XCR0_AVX512 0xe0

#define RFLAGS_TF (1 << 8)
#define RFLAGS_IF (1 << 9)
#define RFLAGS_DF (1 << 10)
#define RFLAGS_NT (1 << 14)
#define RFLAGS_AC (1 << 18)

#endif
