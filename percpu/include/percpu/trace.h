/* SPDX-License-Identifier: Apache-2.0 */
/* The trace ring of a core: what it did last. Always on; the newest records push the oldest out. It
 * is a part of the core's outbox: the core alone writes it, all cores read it. Writing a record
 * takes no lock and waits for nobody. Events and their fields: debug/trace.toml; those that cost
 * too much for every image are noted by the kernel of ./atoll trace alone (ATOLL_TRACE). */
#ifndef PERCPU_TRACE_H
#define PERCPU_TRACE_H

#include <percpu/base.h>
#include <trace_events.h>

#ifdef ATOLL_TRACE
#define TRACE_RECORDS 32768u
#define TRACE_EVENTS UINT32_MAX
#else
#define TRACE_RECORDS 512u
#define TRACE_EVENTS TRACE_ALWAYS
#endif

struct trace_record {
    uint64_t time_ns;  /* since boot, the same clock on every core */
    uint32_t event, a; /* enum trace_event, and its first field */
    uint64_t b, c;
};
_Static_assert(sizeof(struct trace_record) == 32, "tools/atoll/trace/records.py reads it");

/* Record n, counted from 0, lies in place n % TRACE_RECORDS until another one takes it. */
struct trace_ring {
    _Atomic uint64_t count; /* since boot, those that were pushed out as well */
    struct trace_record records[TRACE_RECORDS];
};

extern PERCORE struct trace_ring *percpu_trace_ring;

/* Notes an event of any kind for who knows the time. Own core on its own tables, interrupts off.
 * @impl ATL-LLR-PERCPU-0600~1 */
static inline void percpu_trace_at(uint64_t time_ns, enum trace_event event, uint32_t a, uint64_t b,
                                   uint64_t c)
{
    struct trace_ring *ring = percpu_trace_ring;
    uint64_t count = atomic_load_explicit(&ring->count, memory_order_relaxed);
    ring->records[count % TRACE_RECORDS] =
        (struct trace_record){.time_ns = time_ns, .event = event, .a = a, .b = b, .c = c};
    atomic_store_explicit(&ring->count, count + 1, memory_order_release);
}

/* Now; a call, which keeps every image small. */
void percpu_trace(enum trace_event event, uint32_t a, uint64_t b, uint64_t c);

/* Notes event, a constant, if this kernel notes its kind; costs nothing if not.
 * @impl ATL-LLR-PERCPU-0602~1 */
#define TRACE(event, a, b, c)                                                                      \
    ((TRACE_EVENTS >> (event)&1) != 0 ? percpu_trace(event, a, b, c) : (void)0)

#endif
