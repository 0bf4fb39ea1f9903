/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of the kernel: which thread runs next, and in what state its registers are. */
#include "internal.h"
#include "offsets.h"

#include <cpu/time.h>
#include <kernel/facts.h>
#include <kernel/layout.h>
#include <percpu/trace.h>

#define PLACE(register) PLACE_##register,
enum frame_place { THREAD_FRAME_ORDER(PLACE) };
#define LOCK(register)                                                                             \
    _Static_assert(offsetof(struct thread, frame.register) == 8 * PLACE_##register, "assembly");
THREAD_FRAME_ORDER(LOCK)
_Static_assert(offsetof(struct thread, resume) == THREAD_RESUME, "assembly");
_Static_assert(offsetof(struct gate_words, return_rip) == WORDS_RETURN_RIP, "assembly");
_Static_assert(offsetof(struct gate_words, return_flags) == WORDS_RETURN_FLAGS, "assembly");
_Static_assert(offsetof(struct gate_core_counts, gate_calls) == COUNTS_CALLS, "assembly");
_Static_assert(offsetof(struct gate_core_counts, reflections) == COUNTS_REFLECTIONS, "assembly");

_Static_assert(sizeof(struct thread_frame) == sizeof(struct gate_frame), "one layout");

PERCORE struct cell gate_cell;
PERCORE struct gate_core_counts gate_counts;
/* The entry path reads these; each is alone in its use there. */
PERCORE uint64_t gate_user_rsp;
PERCORE uint64_t gate_syscall_entry;
PERCORE struct gate_words *gate_live_words;
PERCORE uint8_t gate_ring;

/* The thread whose extended state, bases and words the hardware holds; stays loaded while idle, so
 * that a thread that waits and goes on alone costs no switch. */
PERCORE struct thread *gate_loaded;
static PERCORE bool cell_is_loaded;
static PERCORE uint64_t loaded_ns; /* since when it runs, moved on by the time that was idle */

void gate_initialize(void)
{
    ASSERT(sizeof(struct thread) + shared_facts.info.extended_bytes <=
           PAGE_BYTES); /* GATE_STAGING_MOVE */
    gate_syscall_entry = gate_cell.posix.syscall_entry;
    gate_live_words = gate_cell.words;
    gate_ring = gate_cell.ring;
    if (percpu_self.value == 0) {
        gate_handlers_choose(gate_cell.gate_calls);
    }
    percpu_channel_handle(PERCPU_MESSAGE_CALL, gate_call_requested, NULL);
    percpu_channel_handle(PERCPU_MESSAGE_THREAD_MOVE, gate_move_requested, NULL);
    percpu_channel_handle(PERCPU_MESSAGE_THREAD_ASK, gate_ask_requested, NULL);
}

/* @impl ATL-LLR-GATE-0034~1 */
uint64_t gate_run_ns(const struct thread *thread)
{
    return thread->run_ns + (thread == gate_loaded ? percpu_operation_now() - loaded_ns : 0);
}

void gate_unload(struct thread *thread, bool save)
{
    if (gate_loaded == thread) {
        thread->run_ns = gate_run_ns(thread);
        if (save) {
            percpu_operation_switch(thread, NULL);
        }
        gate_loaded = NULL;
    }
}

static void load(struct thread *thread)
{
    if (!cell_is_loaded) {
        /* Published first: whoever unmaps from now on waits for us; what was unmapped before
         * cannot be in the TLB, since loading the root empties it. */
        percpu_cell_publish(gate_cell.id);
        percpu_operation_invalidate(0, 0);
        cell_is_loaded = true;
    }
    if (gate_loaded != thread) {
        uint64_t now_ns = percpu_operation_now();
        if (gate_loaded != NULL) {
            gate_loaded->run_ns += now_ns - loaded_ns;
        }
        loaded_ns = now_ns;
        percpu_operation_switch(gate_loaded, thread);
        gate_loaded = thread;
        percpu_trace_at(now_ns, TRACE_SWITCH, thread->index, 0, 0);
        gate_counts.switches++;
    }
}

static void idle(void)
{
    if (cell_is_loaded) {
        cell_is_loaded = false;
        percpu_operation_invalidate(0, UINT64_MAX); /* to the kernel's own root */
        percpu_cell_publish(0);
    }
    uint64_t start = percpu_operation_now();
    uint64_t until_ns = percpu_balance(percpu_next_event_ns());
    TRACE(TRACE_IDLE, 0, until_ns, 0);
    percpu_operation_idle(until_ns);
    uint64_t idle_ns = percpu_operation_now() - start;
    gate_counts.idle_ns += idle_ns;
    loaded_ns += idle_ns;
}

/* The thread has left posix but for its last jump: completes it. */
static void finish_exit(const struct cell *cell, struct thread_frame *frame)
{
    if (gate_is_in(frame->rip, cell->posix.exit_call_swapped, cell->posix.exit_call_end)) {
        frame->rip = cell->words->return_rip;
    }
}

void gate_end_by_signal(struct thread *thread, uint64_t signal)
{
    thread->frame.rax = GATE_EXIT;
    thread->frame.rdi = 0;
    thread->frame.rsi = signal;
    thread->resume = RESUME_RESTART;
    percpu_reschedule = true;
}

/* Writes the upcall record and points the thread at posix's handler. */
static enum result push_upcall(struct thread *thread, struct gate_upcall *upcall)
{
    struct cell *cell = thread->cell;
    struct thread_frame *frame = &thread->frame;
    uint64_t top = gate_is_in_posix(cell, frame->rip) ? frame->rsp : cell->words->stack;
    uint64_t address = ALIGN_DOWN(top - sizeof(*upcall), 16ull);
    upcall->frame = *(const struct gate_frame *)frame;
    uint64_t fault_address = 0;
    if (isolation_copy_to_user(address, upcall, sizeof(*upcall), &fault_address) != RESULT_OK) {
        TRY(isolation_space_fault(thread, fault_address, SPACE_ACCESS_WRITE));
        TRY(isolation_copy_to_user(address, upcall, sizeof(*upcall), &fault_address));
    }
    frame->rip = cell->posix.upcall_entry;
    frame->rsp = address;
    frame->rdi = address;
    frame->rflags = 0x202;
    thread->resume = RESUME_FULL;
    return RESULT_OK;
}

enum result gate_upcall_fault(struct thread *thread, uint64_t vector, uint64_t error,
                              uint64_t address)
{
    finish_exit(thread->cell, &thread->frame);
    struct gate_upcall upcall = {
        .reason = GATE_UPCALL_FAULT, .vector = vector, .error = error, .address = address};
    return push_upcall(thread, &upcall);
}

/* Flags that a program sets by IRETQ in ring 3: SDM volume 1, "EFLAGS register". */
#define FLAGS_USER 0x244dd5ull
#define FLAGS_ALWAYS 0x202ull

/* QEMU reads the stack of an IRETQ in ring 3 as the supervisor would, which SMAP forbids (seen in
 * 7.2; processors do not). posix/ goes on by that instruction after an upcall: nothing else in it
 * can fault in this way, and it is completed for it here. */
bool gate_complete_return(struct thread *thread)
{
    const struct cell *cell = thread->cell;
    struct thread_frame *frame = &thread->frame;
    if (!gate_is_in_posix(cell, frame->rip)) {
        return false;
    }
    struct {
        uint64_t rip, cs, rflags, rsp, ss;
    } to;
    uint64_t fault_address;
    if (isolation_copy_from_user(&to, frame->rsp, sizeof(to), &fault_address) != RESULT_OK ||
        to.rip >= LAYOUT_USER_END) {
        return false;
    }
    frame->rip = to.rip;
    frame->rsp = to.rsp;
    frame->rflags = (to.rflags & FLAGS_USER) | FLAGS_ALWAYS;
    return true;
}

/* thread->interrupt is set and the thread is about to run. @impl ATL-LLR-GATE-0010~1 */
static void deliver_interrupt(struct thread *thread)
{
    struct cell *cell = thread->cell;
    struct thread_frame *frame = &thread->frame;
    if (thread->resume == RESUME_FULL) {
        finish_exit(cell, frame);
    }
    if (!gate_is_in_posix(cell, frame->rip)) {
        if (thread->resume == RESUME_GATE) {
            /* A whole frame: what the call destroys has its arguments' values; the selectors are
             * those that the thread began with. */
            frame->rcx = frame->rip;
            frame->r11 = frame->rflags;
            thread->resume = RESUME_FULL;
        }
        struct gate_upcall upcall = {.reason = GATE_UPCALL_INTERRUPT};
        enum result pushed = push_upcall(thread, &upcall);
        if (pushed == SPACE_PENDING) {
            return; /* the flag stays: tried again when the page is there */
        }
        thread->interrupt = false;
        if (pushed != RESULT_OK) {
            gate_end_by_signal(thread, SIGNAL_SEGV);
        }
        return;
    }
    thread->interrupt = false;
    cell->words->pending = 1;
    if (gate_is_in(frame->rip, cell->posix.exit_call_begin, cell->posix.exit_call_swapped)) {
        frame->rip = cell->posix.exit_call_begin;
    } else if (gate_is_in(frame->rip, cell->posix.exit_frame_begin, cell->posix.exit_frame_end)) {
        if (frame->rip >= cell->posix.exit_frame_last) {
            frame->rsp -= offsetof(struct gate_frame, rip);
        }
        frame->rip = cell->posix.exit_frame_begin;
    }
}

/* What a handler returned to the running thread, unless that is gone, waits, or will repeat the
 * call: then there is no result yet, and rax is its number. */
static void take_result(int64_t result)
{
    struct thread *thread = percpu_current;
    if (thread != NULL && thread->state == THREAD_RUNNING && thread->resume == RESUME_GATE) {
        thread->frame.rax = (uint64_t)result;
    }
}

static void repeat_call(struct thread *thread)
{
    const struct thread_frame *f = &thread->frame;
    thread->resume = RESUME_GATE;
    ASSERT(f->rax < GATE_CALL_COUNT);
    take_result(shared_gate_handlers[f->rax](f->rdi, f->rsi, f->rdx, f->r10, f->r8));
}

noreturn void gate_leave(void)
{
    for (;;) {
        if (percpu_channel_is_due) {
            percpu_channel_drain();
        }
        struct thread *thread = percpu_schedule();
        if (thread == NULL) {
            idle();
            continue;
        }
        load(thread);
        if (thread->interrupt && thread->resume != RESUME_RESTART) {
            deliver_interrupt(thread);
        }
        if (thread->resume == RESUME_RESTART) {
            repeat_call(thread);
            continue;
        }
        if (thread->state != THREAD_RUNNING) {
            continue; /* waits for a page of its posix stack */
        }
        uint64_t next_ns = percpu_next_event_ns();
        if (next_ns < percpu_timer_ns) {
            cpu_timer_arm(next_ns);
        }
        TRACE(TRACE_RESUME, thread->index, thread->frame.rip, 0);
        if (thread->resume == RESUME_GATE) {
            gate_resume_call(thread);
        }
        gate_resume_full(thread);
    }
}

noreturn void gate_return_slow(int64_t result)
{
    take_result(result);
    gate_leave();
}
