/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that posix/ notes (debug/calls.h), for a client that looks at a machine that
 * runs: each core answers for its own ring, which only it can see. What lies there is posix/'s:
 * numbers are taken modulo the ring's size, and bytes are given away as they are.
 *
 * When the program ends, the machine stays, stopped, until the client has taken what is left: it
 * says so by ending its session, or is given up after SILENCE_NS_MAX. */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"

#include <cpu/string.h>
#include <cpu/time.h>
#include <debug/calls.h>
#include <gate/gate.h>
#include <kernel/image.h>

#define SILENCE_NS_MAX 3000000000ull
#define POSITION_MASK ((1ull << DEBUG_CALL_POSITION_BITS) - 1)
#define SELECT_BITS 32u /* of the low half of a question's number; the high half: which */
#define FRAME_BYTES ALIGN_UP(sizeof(struct gate_frame), 16ull)

/* The head of the ring, without its slots. */
struct ring {
    uint64_t selected[DEBUG_CALL_NUMBERS / 64];
    uint64_t session, taken, claimed, lost;
};
_Static_assert(sizeof(struct ring) == offsetof(struct debug_calls, slots), "debug/calls.h");

static uint64_t ring_address(void)
{
    const struct debug_places *places = debug_places();
    return places != NULL ? shared_plan.posix_base + places->calls : 0;
}

static bool ring_read(struct ring *ring)
{
    return debug_memory_read(gate_cell.root.value, ring_address(), ring, sizeof(*ring)) ==
           sizeof(*ring);
}

/* Of one field: posix/ may be about to change another one. */
static void ring_write(size_t offset, const void *from, uint32_t bytes)
{
    (void)debug_memory_write(gate_cell.root.value, ring_address() + offset, from, bytes);
}

/* True: the slot at this position has been written, and copied. */
static bool slot_read(uint64_t position, struct debug_call_slot *slot)
{
    uint64_t at = ring_address() + offsetof(struct debug_calls, slots) +
                  position % DEBUG_CALL_SLOTS * sizeof(*slot);
    return debug_memory_read(gate_cell.root.value, at, slot, sizeof(*slot)) == sizeof(*slot) &&
           atomic_load_explicit(&slot->sequence, memory_order_relaxed) == position + 1;
}

/* What an earlier client left is not for this one. @impl ATL-LLR-DEBUG-0800~1 */
int64_t debug_calls_begin(uint64_t session)
{
    static const uint64_t nothing[DEBUG_CALL_NUMBERS / 64];
    struct debug_call_slot slot;
    struct ring ring;
    if (!ring_read(&ring)) {
        return RESULT_FAULT;
    }
    ring_write(offsetof(struct debug_calls, selected), nothing, sizeof(nothing));
    while (ring.taken < (ring.claimed & POSITION_MASK) && slot_read(ring.taken, &slot)) {
        ring.taken++;
    }
    ring.session = session;
    ring.claimed &= POSITION_MASK;
    ring.lost = 0;
    ring_write(offsetof(struct debug_calls, session), &ring.session,
               sizeof(ring) - offsetof(struct ring, session));
    if (percpu_self.value == 0) {
        debug_server()->calls_session = session;
    }
    return 0;
}

/* @impl ATL-LLR-DEBUG-0800~1 */
int64_t debug_calls_select(uint64_t what)
{
    uint64_t part = what >> SELECT_BITS;
    uint32_t mask = (uint32_t)what;
    if (part >= DEBUG_CALL_NUMBERS / SELECT_BITS || ring_address() == 0) {
        return RESULT_INVALID;
    }
    ring_write(offsetof(struct debug_calls, selected) + part * sizeof(mask), &mask, sizeof(mask));
    return 0;
}

/* Gives away slots from a position on, and takes those before it off the ring.
 * @impl ATL-LLR-DEBUG-0801~1 */
int64_t debug_calls_take(uint64_t from, uint8_t *answer)
{
    struct debug_calls_answer head = {0};
    struct debug_call_slot slot;
    struct ring ring;
    if (!ring_read(&ring)) {
        return RESULT_FAULT;
    }
    uint64_t end = ring.claimed & POSITION_MASK;
    if (from > ring.taken && from <= end) {
        ring.taken = from;
        ring_write(offsetof(struct debug_calls, taken), &from, sizeof(from));
    }
    head = (struct debug_calls_answer){.first = ring.taken,
                                       .lost = ring.lost,
                                       .ended = debug_server()->ended,
                                       .now_ns = percpu_operation_now()};
    uint32_t bytes = sizeof(head);
    for (uint64_t at = ring.taken; bytes + sizeof(slot) <= DEBUG_DATA_BYTES && at < end; at++) {
        if (!slot_read(at, &slot)) {
            break;
        }
        memcpy(answer + bytes, &slot, sizeof(slot));
        bytes += sizeof(slot);
    }
    memcpy(answer, &head, sizeof(head));
    return bytes;
}

/* A thread that waits inside a call: its number and arguments are where posix/ keeps them. */
static bool open_call(const struct thread *thread, const struct debug_table *table,
                      struct debug_open_call *out)
{
    struct gate_frame frame;
    uint64_t root = gate_cell.root.value;
    if (thread->state != THREAD_PARKED || !gate_is_in_posix(&gate_cell, thread->frame.rip)) {
        return false;
    }
    uint64_t record = ALIGN_DOWN(thread->frame.rsp, (uint64_t)table->stack_bytes) +
                      table->stack_bytes - table->record_bytes;
    *out = (struct debug_open_call){.index = thread->index};
    if (debug_memory_read(root, record + table->id_offset, &out->id, sizeof(out->id)) !=
            sizeof(out->id) ||
        debug_memory_read(root, record + table->name_offset, out->name, sizeof(out->name)) !=
            sizeof(out->name) ||
        debug_memory_read(root, record + table->call_offset, &out->number, sizeof(out->number)) !=
            sizeof(out->number) ||
        debug_memory_read(root, record - FRAME_BYTES, &frame, sizeof(frame)) != sizeof(frame)) {
        return false;
    }
    const uint64_t arguments[] = {frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9};
    memcpy(out->arguments, arguments, sizeof(arguments));
    return out->number <= DEBUG_CALL_NUMBERS && out->id > 0;
}

/* @impl ATL-LLR-DEBUG-0802~1 */
int64_t debug_calls_open(uint64_t first, uint8_t *answer)
{
    struct debug_table table;
    struct debug_open_call call;
    uint32_t bytes = 0;
    if (!debug_table_read(&table)) {
        return 0;
    }
    for (uint64_t i = first; i < PERCPU_THREADS_MAX && bytes + sizeof(call) <= DEBUG_DATA_BYTES;
         i++) {
        const struct thread *thread = debug_thread_at(i);
        if (thread == NULL) {
            break;
        }
        if (thread->state != THREAD_FREE && open_call(thread, &table, &call)) {
            memcpy(answer + bytes, &call, sizeof(call));
            bytes += sizeof(call);
        }
    }
    return bytes;
}

/* @impl ATL-LLR-DEBUG-0803~1 */
void debug_calls_end(uint8_t kind, uint8_t status, uint8_t signal)
{
    struct debug_server_page *server = debug_server();
    if (percpu_self.value != 0 || server->calls_session == 0) {
        return;
    }
    server->ended = DEBUG_CALLS_ENDED | (uint64_t)kind << 16 | (uint64_t)status << 8 | signal;
    (void)debug_stop_all();
    debug_live_settle();
    uint64_t deadline = cpu_now_ns() + SILENCE_NS_MAX;
    while (server->calls_session != 0 && cpu_now_ns() < deadline) {
        if (debug_server_answer()) {
            deadline = cpu_now_ns() + SILENCE_NS_MAX;
        }
    }
}
