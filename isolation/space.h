/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that implement isolation/space.h. */
#ifndef ISOLATION_SPACE_INTERNAL_H
#define ISOLATION_SPACE_INTERNAL_H

#include "operation.h"

#define USER_END ((uint64_t)(GATE_PRIVATE_SLOT + 1) * GATE_SLOT_BYTES - PAGE_BYTES)

/* thread->work[]: what a thread that waits for memory keeps. */
enum space_work {
    WORK_OPERATION,   /* record + 1 of its operation on this core; 0: none */
    WORK_FRAMES,      /* own frames that travel with a fault: first | count */
    WORK_IMAGE,       /* the image page that the first of them is a copy of; 0: zeroed */
    WORK_FAULT,       /* page of that fault | access */
    WORK_VERDICT,     /* failure that the owner answered, for the repeated fault */
    WORK_VERDICT_AT,  /* page | access of it */
    WORK_VERDICT_RIP, /* instruction of it */
};

/* The table of each shared slot: written by the slot's owner before seal, read by all then. */
extern paddr_t shared_slot_tables[GATE_PRIVATE_SLOT];
extern PERCORE struct cell *space_cell; /* this core's cell, once it is built */

/* The root of a slot of this core that holds the address. */
struct table_root space_root(const struct cell *cell, uint64_t address);

/* range.c: lays lazy entries over [start, end) at once; leaves the cursor where table_seek can go
 * on. RESULT_EXISTS, RESULT_NO_MEMORY: nothing changed. */
enum result range_lay(const struct table_root *root, uint64_t start, uint64_t end, uint64_t lazy,
                      struct table_cursor *cursor);
/* Steps down to a page's entry, with tables of this core. RESULT_NO_MEMORY: the meaning of the
 * tables has not changed. */
enum result range_split_to_page(struct table_cursor *cursor);

void space_register_handlers(void); /* all of them */
/* A fault on a page of this core's slots. RESULT_OK: the access can be repeated, or the asking core
 * finds in the answer what to do; SPACE_PENDING; RESULT_FAULT; RESULT_NO_MEMORY. */
enum result fault_resolve(struct space_asked *asked);

/* Nothing has changed for want of a frame: asks the other cores for a block of memory; answered is
 * then called with the outcome. RESULT_NO_MEMORY: there is no other core. Else SPACE_PENDING. */
enum result space_await_memory(struct thread *thread, thread_continuation answered);

#endif
