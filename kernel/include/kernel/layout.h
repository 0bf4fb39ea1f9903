/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel half of the address space, the same on every core. Used by C, assembly and linker
 * script.
 *
 *   PML4  address               what                                        who may write
 *   256   0xffff800000000000    direct map of this core's own memory         this core
 *   508   0xfffffe0000020000    device registers, one page each              the device's owner
 *   509   0xfffffe8000000000    the image, read-only (+ physical)            nobody
 *   510   0xffffff0000000000    outbox of core c at + c * 1 GiB              core c
 *   511   0xffffffff80000000    kernel text, rodata, boot facts (+ physical) nobody after seal
 *         0xffffffffc0000000    .percore: variables and stacks               this core
 *
 * What is used together lies apart in the low bits of its addresses, too: pages that have them in
 * common drive each other out of a TLB, which is one of sets, or QEMU's, which has one entry for
 * all.
 */
#ifndef KERNEL_LAYOUT_H
#define KERNEL_LAYOUT_H

#define LAYOUT_USER_END 0x0000800000000000
#define LAYOUT_DIRECT_BASE 0xffff800000000000
#define LAYOUT_IMAGE_BASE 0xfffffe8000000000
#define LAYOUT_DEVICE_BASE 0xfffffe0000020000
#define LAYOUT_OUTBOX_BASE 0xffffff0000000000
#define LAYOUT_OUTBOX_STRIDE 0x40000000
#define LAYOUT_KERNEL_BASE 0xffffffff80000000
#define LAYOUT_PERCORE_BASE 0xffffffffc0000000

#define BOOT_OTHER_STACK_BYTES 1024 /* of a core on the boot tables that is not the boot core */
#define LAYOUT_STACK_BYTES 8192     /* gate stack */
#define LAYOUT_IST_STACK_BYTES 4096 /* each of LAYOUT_IST_COUNT */
#define LAYOUT_IST_COUNT 7

/* interrupt stack table entries, DESIGN: one per cause that may nest */
#define LAYOUT_IST_INTERRUPT 1
#define LAYOUT_IST_PAGE_FAULT 2
#define LAYOUT_IST_PROTECTION 3
#define LAYOUT_IST_DEBUG 4
#define LAYOUT_IST_NMI 5
#define LAYOUT_IST_DOUBLE_FAULT 6
#define LAYOUT_IST_MACHINE_CHECK 7

/* segment selectors; SYSRET needs user data = user code - 8, STAR order */
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_CODE_32 0x18
#define SELECTOR_USER_DATA 0x20
#define SELECTOR_USER_CODE 0x28
#define SELECTOR_TSS 0x30

/* vectors */
#define TRAP_STUB_BYTES 12 /* of the code that each one enters (main/trap.S) */
#define VECTOR_NMI 2
#define VECTOR_TIMER 0x40
#define VECTOR_IPI 0x41
#define VECTOR_UART 0x42
#define VECTOR_NETWORK 0x43 /* the first of GATE_NETWORKS */
#define VECTOR_DOORBELL 0x47
#define VECTOR_STOP 0xfe /* another core panics */
#define VECTOR_SPURIOUS 0xff

#endif
