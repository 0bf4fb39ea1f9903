/* SPDX-License-Identifier: Apache-2.0 */
/* Segment and interrupt descriptors of a core. */
#ifndef KERNEL_CPU_DESCRIPTORS_H
#define KERNEL_CPU_DESCRIPTORS_H

#include <percpu/base.h>

/* Fills the one IDT that all cores load; the stacks of its vectors are in a TSS. Core 0, before
 * seal.
 */
void descriptors_build_idt(bool has_stacks);
/* Fills and loads this core's GDT and TSS, and loads the IDT. */
void descriptors_load(void);

#endif
