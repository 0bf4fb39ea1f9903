/* SPDX-License-Identifier: Apache-2.0 */
/* The stacks of each core, in its .percore instance, as kernel/stacks.h says. Also the numbers of
 * kernel/layout.h that kernel.ld repeats and compares. */
#include <kernel/layout.h>

    .section .percore.stack, "aw", @nobits
    .balign 4096
    .globl kernel_stacks, stack_gate_top
kernel_stacks:
    .skip LAYOUT_IST_COUNT * (4096 + LAYOUT_IST_STACK_BYTES)
    .skip 4096 + LAYOUT_STACK_BYTES
stack_gate_top:

    .globl layout_kernel_base, layout_percore_base
    .set layout_kernel_base, LAYOUT_KERNEL_BASE
    .set layout_percore_base, LAYOUT_PERCORE_BASE

    .section .note.GNU-stack, "", @progbits
