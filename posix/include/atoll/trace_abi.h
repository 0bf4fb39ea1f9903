/* SPDX-License-Identifier: Apache-2.0 */
/* The trace rings of a program that ./atoll trace runs: in memory that its threads and posix/
 * share, two for each core. What a program needs of it is in atoll/trace.h; this is the layout,
 * which posix/ and tools/atoll/trace know too. Depends on nothing else.
 *
 * A writer claims a slot of the core on which it is by an atomic addition, fills it, and stores its
 * sequence last, position + 1. Nobody waits: a ring that is full loses its oldest records. Who
 * reads takes slots in their order; what was overtaken while it was read, it counts as lost. */
#ifndef ATOLL_TRACE_ABI_H
#define ATOLL_TRACE_ABI_H

#include <stdint.h>

#define ATOLL_TRACE_AUXILIARY 0x41746f6cul /* of the auxiliary vector: where the rings lie */
#define ATOLL_TRACE_MAGIC 0x5350494c4c4f5441ull
#define ATOLL_TRACE_SLOTS 4096u /* of each ring, a power of two */
#define ATOLL_TRACE_NAMES 1024u
#define ATOLL_TRACE_NAME_BYTES 60u
#define ATOLL_TRACE_SLOT_BYTES 128u
#define ATOLL_TRACE_FIELDS 4u
#define ATOLL_TRACE_TEXT_BYTES 100u
#define ATOLL_TRACE_CORES 64u

/* debug/generate_trace.py: begin */
enum atoll_trace_event {
    ATOLL_TRACE_EVENT_SYSCALL_ENTER = 32,
    ATOLL_TRACE_EVENT_SYSCALL_LEAVE = 33,
    ATOLL_TRACE_EVENT_BLOCK = 34,
    ATOLL_TRACE_EVENT_FUTEX_WAKE = 35,
    ATOLL_TRACE_EVENT_EPOLL_READY = 36,
    ATOLL_TRACE_EVENT_THREAD = 37,
    ATOLL_TRACE_EVENT_MARKER = 48,
    ATOLL_TRACE_EVENT_BEGIN = 49,
    ATOLL_TRACE_EVENT_END = 50,
    ATOLL_TRACE_EVENT_INSTANT = 51,
    ATOLL_TRACE_EVENT_COUNTER = 52,
};
/* debug/generate_trace.py: end */

/* fields as debug/trace.toml names them; the text of an event that has one follows its fields: its
 * length in 32 bits, and as much of it as there is room for. */
struct atoll_trace_slot {
    uint64_t sequence; /* position + 1, since the start */
    uint64_t tsc;
    uint32_t event, thread; /* enum atoll_trace_event; Linux thread id */
    union {
        uint64_t fields[ATOLL_TRACE_FIELDS];
        struct {
            uint32_t bytes;
            char text[ATOLL_TRACE_TEXT_BYTES];
        } text;
    } u;
};

/* claimed lies on a line of its own. */
struct atoll_trace_ring {
    uint64_t claimed, unused[15];
    struct atoll_trace_slot slots[ATOLL_TRACE_SLOTS];
};

/* A name that a record means by its index here + 1; bytes is stored last. */
struct atoll_trace_name {
    uint32_t bytes;
    char text[ATOLL_TRACE_NAME_BYTES];
};

enum atoll_trace_source { ATOLL_TRACE_PROGRAM, ATOLL_TRACE_POSIX, ATOLL_TRACE_SOURCES };

/* Behind it lie the rings, those of core 0 first. time_ns = (tsc - tsc_base) * tsc_multiplier >>
 * 32, since boot. */
struct atoll_trace_rings {
    uint64_t magic;
    uint32_t core_count, name_count;
    uint64_t tsc_base, tsc_multiplier;
    uint64_t unused[12];
    /* [source][core], by what RDTSCP says of its place: the core's number */
    struct atoll_trace_ring *rings[ATOLL_TRACE_SOURCES][ATOLL_TRACE_CORES];
    struct atoll_trace_name names[ATOLL_TRACE_NAMES];
};

#ifndef __cplusplus
_Static_assert(sizeof(struct atoll_trace_slot) == ATOLL_TRACE_SLOT_BYTES, "tools/atoll/trace");
_Static_assert(sizeof(struct atoll_trace_rings) == 1152 + ATOLL_TRACE_NAMES * 64,
               "tools/atoll/trace");
#endif

#endif
