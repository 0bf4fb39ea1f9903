/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that compose the kernel. */
#ifndef KERNEL_MAIN_MAIN_H
#define KERNEL_MAIN_MAIN_H

#include <percpu/base.h>

/* Another core has asked this one, where its kernel is left or halted. */
noreturn void stop_self(void);
/* An NMI has come: stops if another core wants it. Touches no memory that can fault. */
void stop_at_nmi(void);

/* Prints the registers and stops the machine. Any core, any state. */
struct kernel_trap {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
noreturn void report_kernel_trap(const struct kernel_trap *trap, uint64_t address);

/* Of the build that measures coverage: certification/coverage. */
#ifdef ATOLL_COVERAGE
void coverage_leave(void);
#else
#define coverage_leave() ((void)0)
#endif

#endif
