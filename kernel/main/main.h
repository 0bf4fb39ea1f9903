/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that compose the kernel. */
#ifndef KERNEL_MAIN_MAIN_H
#define KERNEL_MAIN_MAIN_H

#include <percpu/base.h>

struct percpu_message;

/* Core 0: the console and the end of the cell, as the gate's services. Registers handlers. */
void console_service_initialize(core_id_t self);
/* Core 0: the UART has interrupted. */
void console_service_interrupt(void);

/* Sends the exit record (enum console_exit, status, signal) and turns the machine off. Any core. */
noreturn void end_machine(uint8_t kind, uint8_t status, uint8_t signal);

/* Prints the reason and the registers or NULL, and stops the machine. Any core, any state. */
struct kernel_trap {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
noreturn void report_kernel_trap(const struct kernel_trap *trap, uint64_t address);
#endif
