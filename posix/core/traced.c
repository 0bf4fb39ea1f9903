/* SPDX-License-Identifier: Apache-2.0 */
/* In images of ./atoll trace: the rings that the program and posix/ share (atoll/trace_abi.h), and
 * what posix/ notes in its own. The linker puts the functions with __wrap_ in place of others, and
 * noted.S calls posix_note_enter and posix_note_leave around each Linux call, so that posix/ of
 * other images knows nothing of it. */
#include "traced.h"

#include "../event/epoll.h"
#include "internal.h"
#include "noted.h"

#include <posix/instructions.h>
#include <posix/load.h>
#include <posix/syscalls.h>

#define CPUID_EXTENDED 0x80000001u
#define CPUID_RDTSCP (1u << 27) /* EDX */
#define SELECTED_WORDS 8u

/* All bits once there are rings: noted.S notes these calls. */
extern uint64_t posix_noted_calls[SELECTED_WORDS];
uint64_t posix_noted_calls[SELECTED_WORDS];
_Static_assert(SYSCALL_COUNT < SELECTED_WORDS * 64, "noted.S");
_Static_assert(sizeof(struct noted_call) == NOTED_BYTES, "noted.S");

/* Set once, before the program runs; tools/atoll/trace/memory.py finds it by its name. NULL: no
 * memory, or a processor without RDTSCP. */
struct atoll_trace_rings *posix_trace_rings;

size_t __real_posix_initial_stack_bytes(const struct posix_initial_stack *content);
size_t __wrap_posix_initial_stack_bytes(const struct posix_initial_stack *content);
size_t __real_posix_initial_stack_build(const struct posix_initial_stack *content, uint8_t *buffer,
                                        size_t buffer_bytes, uint64_t top);
size_t __wrap_posix_initial_stack_build(const struct posix_initial_stack *content, uint8_t *buffer,
                                        size_t buffer_bytes, uint64_t top);
void __real_posix_debug_started(const struct posix_program *program);
void __wrap_posix_debug_started(const struct posix_program *program);
int64_t __real_posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns);
int64_t __wrap_posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns);
int64_t __real_posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock,
                          uint64_t deadline_ns);
int64_t __wrap_posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock,
                          uint64_t deadline_ns);
bool __real_epoll_notified(struct posix_watch *watch, uint32_t events);
bool __wrap_epoll_notified(struct posix_watch *watch, uint32_t events);
void __real_posix_thread_begin(struct posix_thread *self);
void __wrap_posix_thread_begin(struct posix_thread *self);

/* ---- the rings */

/* Not by the table, over which the program can write. */
static struct atoll_trace_ring *ring_of(uint32_t core, enum atoll_trace_source source)
{
    struct atoll_trace_ring *first = (struct atoll_trace_ring *)(posix_trace_rings + 1);
    return &first[core * ATOLL_TRACE_SOURCES + source];
}

/* A slot of the core on which this runs, with all but what it says. Time and core are of one
 * instant, as in atoll_trace_note. */
static struct atoll_trace_slot *claim(enum atoll_trace_source source, uint32_t event)
{
    uint32_t core;
    uint64_t tsc = instruction_rdtscp(&core);
    struct atoll_trace_ring *ring = ring_of(core, source);
    uint64_t position = __atomic_fetch_add(&ring->claimed, 1, __ATOMIC_RELAXED);
    struct atoll_trace_slot *slot = &ring->slots[position % ATOLL_TRACE_SLOTS];
    slot->tsc = tsc;
    slot->event = event;
    slot->thread = (uint32_t)posix_self()->id;
    slot->sequence = position; /* which it is once it is whole, less 1 */
    return slot;
}

static void publish(struct atoll_trace_slot *slot)
{
    __atomic_store_n(&slot->sequence, slot->sequence + 1, __ATOMIC_RELEASE);
}

/* @impl ATL-LLR-POSIX-1190~1 */
static void note(enum atoll_trace_event event, const uint64_t fields[ATOLL_TRACE_FIELDS])
{
    if (posix_trace_rings != NULL) {
        struct atoll_trace_slot *slot = claim(ATOLL_TRACE_POSIX, event);
        for (uint32_t i = 0; i < ATOLL_TRACE_FIELDS; i++) {
            slot->u.fields[i] = fields[i];
        }
        publish(slot);
    }
}

#define NOTE(event, ...) note(event, (const uint64_t[ATOLL_TRACE_FIELDS]){__VA_ARGS__})

/* Its index and name: the fields of a record with a text. */
static void note_thread(struct posix_thread *self)
{
    if (posix_trace_rings != NULL) {
        struct atoll_trace_slot *slot = claim(ATOLL_TRACE_POSIX, ATOLL_TRACE_EVENT_THREAD);
        const uint32_t bytes = (uint32_t)__builtin_strlen(self->name);
        uint8_t *text = (uint8_t *)&slot->u.fields[1];
        slot->u.fields[0] = GATE_THREAD_INDEX(posix_thread_handle(self));
        __builtin_memcpy(text, &bytes, sizeof(bytes));
        __builtin_memcpy(text + sizeof(bytes), self->name, bytes);
        publish(slot);
    }
}

/* @impl ATL-LLR-POSIX-1191~1 */
void posix_trace_marker(const char *text, uint32_t kept, uint32_t bytes)
{
    if (posix_trace_rings != NULL) {
        struct atoll_trace_slot *slot = claim(ATOLL_TRACE_PROGRAM, ATOLL_TRACE_EVENT_MARKER);
        slot->u.text.bytes = bytes;
        __builtin_memcpy(slot->u.text.text, text, kept);
        publish(slot);
    }
}

/* Allocated memory is never lazy, and is the program's too. */
static void make_rings(void)
{
    if ((instruction_cpuid(CPUID_EXTENDED, 0).edx & CPUID_RDTSCP) == 0) {
        posix_report("no trace of the program: the processor has no RDTSCP");
        return;
    }
    struct atoll_trace_rings *rings =
        posix_allocate(sizeof(*rings) + (size_t)posix_info.core_count * ATOLL_TRACE_SOURCES *
                                            sizeof(struct atoll_trace_ring));
    if (rings == NULL) {
        posix_report("no trace of the program: no memory for its rings");
        return;
    }
    rings->core_count = posix_info.core_count;
    rings->tsc_base = posix_info.tsc_base;
    rings->tsc_multiplier = posix_info.tsc_multiplier;
    rings->magic = ATOLL_TRACE_MAGIC;
    __atomic_store_n(&posix_trace_rings, rings, __ATOMIC_RELEASE);
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        rings->rings[ATOLL_TRACE_PROGRAM][core] = ring_of(core, ATOLL_TRACE_PROGRAM);
        rings->rings[ATOLL_TRACE_POSIX][core] = ring_of(core, ATOLL_TRACE_POSIX);
    }
}

/* ---- where the program finds them */

size_t __wrap_posix_initial_stack_bytes(const struct posix_initial_stack *content)
{
    return __real_posix_initial_stack_bytes(content) + sizeof(struct posix_auxiliary);
}

/* @impl ATL-LLR-POSIX-1192~1 */
size_t __wrap_posix_initial_stack_build(const struct posix_initial_stack *content, uint8_t *buffer,
                                        size_t buffer_bytes, uint64_t top)
{
    struct posix_initial_stack larger = *content;
    make_rings();
    if (posix_trace_rings != NULL && larger.auxiliary_count < POSIX_AUXILIARY_MAX) {
        larger.auxiliary[larger.auxiliary_count++] =
            (struct posix_auxiliary){ATOLL_TRACE_AUXILIARY, (uint64_t)(uintptr_t)posix_trace_rings};
    }
    return __real_posix_initial_stack_build(&larger, buffer, buffer_bytes, top);
}

void __wrap_posix_debug_started(const struct posix_program *program)
{
    __real_posix_debug_started(program);
    if (posix_trace_rings != NULL) {
        note_thread(posix_self());
        __builtin_memset(posix_noted_calls, 0xff, sizeof(posix_noted_calls));
    }
}

/* ---- what posix/ notes */

/* @impl ATL-LLR-POSIX-1190~1 */
void posix_note_enter(struct noted_call *call)
{
    NOTE(ATOLL_TRACE_EVENT_SYSCALL_ENTER, call->number, call->arguments[0], call->arguments[1],
         call->arguments[2]);
}

/* @impl ATL-LLR-POSIX-1190~1 */
int64_t posix_note_leave(const struct noted_call *call, int64_t result)
{
    bool is_futex = call->number == SYSCALL_FUTEX;
    if (is_futex && result > 0) {
        NOTE(ATOLL_TRACE_EVENT_FUTEX_WAKE, call->arguments[0], (uint64_t)result);
    }
    if (result == 0 &&
        (call->number == SYSCALL_PRCTL || call->number == SYSCALL_SCHED_SETAFFINITY)) {
        note_thread(posix_self());
    }
    NOTE(ATOLL_TRACE_EVENT_SYSCALL_LEAVE, call->number, (uint64_t)result);
    return result;
}

/* Threads of posix/'s own, which have no id, wait for work. */
static void note_block(uint64_t deadline_ns)
{
    const struct posix_thread *self = posix_self();
    if (self->id != 0 && self->frame != NULL && self->call != POSIX_CALL_NONE) {
        NOTE(ATOLL_TRACE_EVENT_BLOCK, self->call, self->frame->rdi, deadline_ns);
    }
}

int64_t __wrap_posix_park(const _Atomic uint32_t *woken, uint64_t deadline_ns)
{
    note_block(deadline_ns);
    return __real_posix_park(woken, deadline_ns);
}

int64_t __wrap_posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock,
                          uint64_t deadline_ns)
{
    note_block(deadline_ns);
    return __real_posix_wait(queue, lock, deadline_ns);
}

bool __wrap_epoll_notified(struct posix_watch *watch, uint32_t events)
{
    const struct epoll_item *item = (struct epoll_item *)watch;
    uint32_t wanted = events & item->events;
    if (wanted != 0) {
        NOTE(ATOLL_TRACE_EVENT_EPOLL_READY, item->descriptor, wanted);
    }
    return __real_epoll_notified(watch, events);
}

void __wrap_posix_thread_begin(struct posix_thread *self)
{
    __real_posix_thread_begin(self);
    note_thread(self);
}
