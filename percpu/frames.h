/* SPDX-License-Identifier: Apache-2.0 */
/* What grant.c needs of frames.c: whole blocks that come and go, and where a block's home is. */
#ifndef PERCPU_FRAMES_PRIVATE_H
#define PERCPU_FRAMES_PRIVATE_H

#include <percpu/frames.h>

/* The core whose partition holds the address. */
core_id_t frames_home(paddr_t address);
/* Takes a wholly free block out of this core's memory, unmapped; false: there is none. A block from
 * another home goes first; if is_surplus, only such a one. */
bool frames_block_detach(paddr_t *block, bool is_surplus);
/* Adds a wholly free block to this core's memory, mapped. */
void frames_block_attach(paddr_t block);
/* Writes the published owner of a block whose home is this core. */
void frames_owner_publish(paddr_t block, core_id_t owner);

/* grant.c: this core has more free blocks than it keeps: returns one to its home. */
void grant_return_surplus(void);

#endif
