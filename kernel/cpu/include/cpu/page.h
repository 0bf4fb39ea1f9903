/* SPDX-License-Identifier: Apache-2.0 */
/* Whole pages by wide stores. The vector registers of the running thread stay as they are. */
#ifndef CPU_PAGE_H
#define CPU_PAGE_H

/* Context: after cpu_core_initialize on this core, interrupts off.
 * @page, @to, @from  page-aligned, mapped; to and from differ */
void cpu_page_zero(void *page);
void cpu_page_copy(void *to, const void *from);

#endif
