/* SPDX-License-Identifier: Apache-2.0 */
/* Segment and interrupt descriptors of a core. */
#ifndef KERNEL_CPU_DESCRIPTORS_H
#define KERNEL_CPU_DESCRIPTORS_H

#include <percpu/base.h>

/* Gives each vector of the one IDT that all cores load its interrupt stack. Core 0, before seal. */
void descriptors_build_idt(void);
/* Fills and loads this core's GDT and TSS, and loads the IDT. */
void descriptors_load(void);

#endif
