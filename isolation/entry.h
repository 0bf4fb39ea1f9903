/* SPDX-License-Identifier: Apache-2.0 */
/* Page-table entries of the user half: what the hardware reads and what Atoll keeps in the bits
 * that it ignores (SDM volume 3, "4-Level Paging and 5-Level Paging").
 *
 *   present leaf    63 NX | 51..12 frame | 11..10 frame kind | 9 may write | 6 D | 5 A | 2 U | 1 W
 * | 0 P table           61..52 entries in use | 51..12 table page | 5 A | 2 U | 1 W | 0 P not
 * present     51..12 frame, inverted | 11..10 frame kind | 5..3 rights X W R | 2..1 lazy kind | 0
 *   empty           0
 *
 * Accessed is always set, and dirty where the hardware may write: no walker ever writes a table.
 * "may write" without W: the frame must be copied first (image), or has been copied and the round
 * of invalidations that must precede the first write is not complete. An entry that is not present
 * keeps its frame inverted, so that a speculative access finds no memory there. */
#ifndef ISOLATION_ENTRY_H
#define ISOLATION_ENTRY_H

#include <isolation/gate_abi.h>
#include <kernel/entry.h>
#include <percpu/base.h>

#define ENTRY_MAY_WRITE (1ull << 9)
#define ENTRY_FRAME_SHIFT 10
#define ENTRY_COUNT_SHIFT 52
#define ENTRY_COUNT_ONE (1ull << ENTRY_COUNT_SHIFT)
#define ENTRY_LAZY_SHIFT 1
#define ENTRY_RIGHTS_SHIFT 3

enum entry_frame {
    ENTRY_FRAME_NONE,
    ENTRY_FRAME_OWN,     /* from this core's allocator */
    ENTRY_FRAME_FOREIGN, /* given by a faulting core, to which it returns */
    ENTRY_FRAME_IMAGE,   /* of the image: shared, never written, never freed */
};

enum entry_lazy {
    ENTRY_LAZY_NONE,
    ENTRY_LAZY_ZERO,     /* becomes a zeroed frame at the first access that its rights allow */
    ENTRY_LAZY_RETAINED, /* keeps a frame that no one may access (PROT_NONE after use) */
    ENTRY_LAZY_RESERVED, /* a map of image pages is under way */
};

static inline bool entry_is_present(uint64_t entry)
{
    return (entry & ENTRY_PRESENT) != 0;
}

static inline enum entry_lazy entry_lazy(uint64_t entry)
{
    return entry_is_present(entry) ? ENTRY_LAZY_NONE
                                   : (enum entry_lazy)(entry >> ENTRY_LAZY_SHIFT & 3);
}

/* Kind of the frame of a leaf, present or retained. */
static inline enum entry_frame entry_frame(uint64_t entry)
{
    return (enum entry_frame)(entry >> ENTRY_FRAME_SHIFT & 3);
}

/* Present or retained. */
static inline bool entry_has_frame(uint64_t entry)
{
    return entry_is_present(entry) || entry_lazy(entry) == ENTRY_LAZY_RETAINED;
}

static inline paddr_t entry_address(uint64_t entry)
{
    uint64_t bits = entry_is_present(entry) ? entry : ~entry;
    return (paddr_t){bits & ENTRY_ADDRESS};
}

/* What the program may do there, by copying or zeroing if need be: GATE_READ and so on. */
static inline uint32_t entry_rights(uint64_t entry)
{
    if (!entry_is_present(entry)) {
        return (uint32_t)(entry >> ENTRY_RIGHTS_SHIFT & 7);
    }
    return GATE_READ | ((entry & ENTRY_MAY_WRITE) != 0 ? GATE_WRITE : 0) |
           ((entry & ENTRY_NO_EXECUTE) == 0 ? GATE_EXECUTE : 0);
}

/* x86 has no write-only and no execute-only pages: any right includes reading. */
static inline uint32_t entry_rights_effective(uint32_t rights)
{
    return rights == 0 ? 0 : (rights | GATE_READ);
}

static inline uint64_t entry_make_lazy(enum entry_lazy lazy, uint32_t rights)
{
    return ENTRY_ADDRESS | (uint64_t)lazy << ENTRY_LAZY_SHIFT |
           (uint64_t)rights << ENTRY_RIGHTS_SHIFT;
}

static inline uint64_t entry_make_retained(paddr_t frame, enum entry_frame kind)
{
    return (~frame.value & ENTRY_ADDRESS) | (uint64_t)kind << ENTRY_FRAME_SHIFT |
           (uint64_t)ENTRY_LAZY_RETAINED << ENTRY_LAZY_SHIFT;
}

/* A present page; user is ENTRY_USER or 0; rights is not 0. Image frames are never writable. */
static inline uint64_t entry_make_page(paddr_t frame, enum entry_frame kind, uint32_t rights,
                                       uint64_t user)
{
    uint64_t entry =
        ENTRY_PRESENT | ENTRY_ACCESSED | user | frame.value | (uint64_t)kind << ENTRY_FRAME_SHIFT;
    if ((rights & GATE_WRITE) != 0) {
        entry |= ENTRY_MAY_WRITE;
        entry |= kind == ENTRY_FRAME_IMAGE ? 0 : (ENTRY_WRITE | ENTRY_DIRTY);
    }
    return entry | ((rights & GATE_EXECUTE) != 0 ? 0 : ENTRY_NO_EXECUTE);
}

/* A frame that was copied for a write that must wait until no core reads the original any more. */
static inline bool entry_is_settling(uint64_t entry)
{
    return entry_is_present(entry) && entry_frame(entry) != ENTRY_FRAME_IMAGE &&
           (entry & (ENTRY_MAY_WRITE | ENTRY_WRITE)) == ENTRY_MAY_WRITE;
}

static inline bool entry_is_table(uint64_t entry)
{
    return (entry & (ENTRY_PRESENT | ENTRY_LARGE)) == ENTRY_PRESENT;
}

static inline uint64_t entry_make_table(paddr_t table, unsigned count, uint64_t user)
{
    return table.value | (uint64_t)count << ENTRY_COUNT_SHIFT | ENTRY_PRESENT | ENTRY_WRITE |
           ENTRY_ACCESSED | user;
}

/* Entries in use in the table below. */
static inline unsigned entry_count(uint64_t entry)
{
    return (unsigned)(entry >> ENTRY_COUNT_SHIFT & 0x3ff);
}

#endif
