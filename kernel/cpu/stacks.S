/* SPDX-License-Identifier: Apache-2.0 */
/* The stacks of each core, in its .percore instance. The page below each stack is never mapped: an
 * overflow faults. Also the numbers of kernel/layout.h that kernel.ld repeats and compares. */
#include <kernel/layout.h>

    .macro stack name bytes
    .section .percore.stack.\name, "aw", @nobits
    .balign 4096
    .globl stack_\name\()_guard, stack_\name\()_top
stack_\name\()_guard:
    .skip 4096
    .skip \bytes
stack_\name\()_top:
    .endm

    stack gate LAYOUT_STACK_BYTES
    stack ist1 LAYOUT_IST_STACK_BYTES
    stack ist2 LAYOUT_IST_STACK_BYTES
    stack ist3 LAYOUT_IST_STACK_BYTES
    stack ist4 LAYOUT_IST_STACK_BYTES
    stack ist5 LAYOUT_IST_STACK_BYTES
    stack ist6 LAYOUT_IST_STACK_BYTES
    stack ist7 LAYOUT_IST_STACK_BYTES

    .globl layout_kernel_base, layout_percore_base
    .set layout_kernel_base, LAYOUT_KERNEL_BASE
    .set layout_percore_base, LAYOUT_PERCORE_BASE

    .section .note.GNU-stack, "", @progbits
