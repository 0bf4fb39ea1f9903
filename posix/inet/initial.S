/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP's variables that do not start at zero start with, one after the other. */
    .section .rodata.net_lwip_initial, "a", @progbits
    .globl net_lwip_initial
    .hidden net_lwip_initial
    .type net_lwip_initial, @object
    .balign 16
net_lwip_initial:
    .incbin LWIP_INITIAL
    .globl net_lwip_initial_end
    .hidden net_lwip_initial_end
net_lwip_initial_end:
    .size net_lwip_initial, . - net_lwip_initial

    .section .note.GNU-stack, "", @progbits
