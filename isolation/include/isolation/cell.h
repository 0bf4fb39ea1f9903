/* SPDX-License-Identifier: Apache-2.0 */
/* A cell: a program with its cores, memory and posix/. This core's view of it: the root of its page
 * tables here and the addresses of its posix/. PERCORE; every core builds its own at boot.
 * No "the application": code asks the current thread's cell. */
#ifndef ISOLATION_CELL_H
#define ISOLATION_CELL_H

#include <isolation/gate_abi.h>
#include <percpu/base.h>

struct cell {
    uint64_t id;  /* 1.. ; 0 means none */
    paddr_t root; /* this core's PML4 for it */
    uint8_t ring; /* 0 or 3 */
    bool allow_write_execute;
    uint32_t gate_calls;            /* bit n: its ring may make call n */
    struct gate_words *words;       /* kernel alias of this core's instance (direct map) */
    struct gate_posix_places posix; /* absolute, from the validated posix header */
    uint32_t shared_slot_count;
};

static inline bool isolation_is_shared(const struct cell *cell, uint64_t address)
{
    return address / GATE_SLOT_BYTES < cell->shared_slot_count;
}
/* The core that owns the tables of an address in a shared slot. */
core_id_t isolation_slot_owner(uint64_t address);

/* The gate page's contents for a ring; isolation/gate has them. */
void isolation_gate_page_fill(void *page, uint8_t ring);

#endif
