/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table entry bits: SDM volume 3, "Hierarchical paging structures". Accessed and dirty are set
 * from the start, so that no walker ever writes a table. */
#ifndef KERNEL_ENTRY_H
#define KERNEL_ENTRY_H

#define ENTRY_PRESENT (1ull << 0)
#define ENTRY_WRITE (1ull << 1)
#define ENTRY_USER (1ull << 2)
#define ENTRY_UNCACHED ((1ull << 3) | (1ull << 4))
#define ENTRY_ACCESSED (1ull << 5)
#define ENTRY_DIRTY (1ull << 6)
#define ENTRY_LARGE (1ull << 7)
#define ENTRY_GLOBAL (1ull << 8)
#define ENTRY_NO_EXECUTE (1ull << 63)
#define ENTRY_ADDRESS 0x000ffffffffff000ull

#endif
