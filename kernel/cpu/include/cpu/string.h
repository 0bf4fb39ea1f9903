/* SPDX-License-Identifier: Apache-2.0 */
/* The memory functions of the C library, for the kernel side and for what the compiler calls by
 * itself. General registers only; no REP, which costs an instruction for each iteration under TCG.
 */
#ifndef CPU_STRING_H
#define CPU_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* Whole pages by wide stores. The vector registers of the running thread stay as they are.
 *
 * Context: after cpu_core_initialize on this core, interrupts off.
 * @page, @to, @from  page-aligned, mapped; to and from differ */
void cpu_page_zero(void *page);
void cpu_page_copy(void *to, const void *from);

#endif
