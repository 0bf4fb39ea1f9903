/* SPDX-License-Identifier: Apache-2.0 */
/* In place of trap_in_kernel, which the linker renames: the stub looks first. It also wants the
 * registers that C keeps, which trap_from_kernel leaves where they are. */
    .section .text.debug_entry, "ax"

/* rdi = struct kernel_trap, rsi = CR2; 16-aligned before the call that came here. */
    .globl __wrap_trap_in_kernel
    .type __wrap_trap_in_kernel, @function
__wrap_trap_in_kernel:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdx /* r15 r14 r13 r12 rbp rbx */
    push %rdi
    push %rsi
    sub $8, %rsp
    call debug_trap_in_kernel
    add $8, %rsp
    pop %rsi
    pop %rdi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    test %al, %al
    jz __real_trap_in_kernel
    ret
    .size __wrap_trap_in_kernel, . - __wrap_trap_in_kernel

    .section .note.GNU-stack, "", @progbits
