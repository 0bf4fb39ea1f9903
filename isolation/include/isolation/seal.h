/* SPDX-License-Identifier: Apache-2.0 */
/* The end of boot on a core, and the changes of its direct map afterwards. */
#ifndef ISOLATION_SEAL_H
#define ISOLATION_SEAL_H

#include <percpu/base.h>

/* Each core, when every core has built its cell and all boot facts are written: links the other
 * cores' slots into this core's cell and makes the boot facts read-only in this core's tables. From
 * here on no kernel page is writable by two cores; isolation_audit judges it. */
void isolation_seal(void);

/* A wholly free 2 MiB block comes to this core, or leaves it: maps or unmaps it in this core's
 * direct map. Own core, interrupts off; cannot fail: the tables were made by isolation_cell_build.
 */
void isolation_block_attach(paddr_t block);
void isolation_block_detach(paddr_t block);

#endif
