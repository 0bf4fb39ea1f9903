/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of a thread of this core, wherever they are: in its frame, or, if its kernel was
 * interrupted, in what the interrupt saved. Formats: SDM volume 1, "XSAVE area". */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"
#include "../isolation/gate/offsets.h"

#include <cpu/msr.h>
#include <cpu/string.h>
#include <kernel/facts.h>
#include <main.h>

#define AREA_X87 32u
#define AREA_XMM 160u
#define AREA_MXCSR 24u
#define AREA_STATE 512u /* which components are there; the others are in their initial state */
#define AREA_YMM_HIGH 576u
#define STATE_X87 1ull
#define STATE_SSE 2ull
#define STATE_AVX 4ull
#define X87_BYTES 16u
#define X87_CONTROL_INITIAL 0x37fu
#define MXCSR_INITIAL 0x1f80u
#define FLAGS_WRITABLE 0x240dd5u

enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15 };
enum { KEPT_R15, KEPT_R14, KEPT_R13, KEPT_R12, KEPT_RBP, KEPT_RBX };

PERCORE struct debug_context debug_context;

struct thread *debug_thread_at(uint64_t index)
{
    return index < percpu_config.thread_count ? &percpu_config.threads[index] : NULL;
}

uint32_t debug_threads_ready(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < percpu_config.thread_count; i++) {
        count += percpu_config.threads[i].state == THREAD_READY;
    }
    return count;
}

static bool is_live(const struct thread *thread)
{
    return debug_context.trap != NULL && thread == percpu_current;
}

uint64_t debug_thread_rip(const struct thread *thread)
{
    return is_live(thread) ? debug_context.trap->rip : thread->frame.rip;
}

/* ---- threads at a signal */

/* Their steps are noted: the flag stands in a frame that the stub does not find again. */
static PERCORE bool stepped_away[PERCPU_THREADS_MAX];

uint64_t debug_signal_place(void)
{
    static PERCORE uint64_t place;
    const struct debug_places *places = place == 0 ? debug_places() : NULL;
    if (places != NULL) {
        place = shared_plan.posix_base + places->signal;
    }
    return place;
}

/* Behind the INT3. */
bool debug_is_at_signal(const struct thread *thread)
{
    return !is_live(thread) && debug_signal_place() != 0 &&
           thread->frame.rip == debug_signal_place() + 1;
}

bool debug_step_is_stray(const struct thread *thread)
{
    bool is_stray = stepped_away[thread->index];
    stepped_away[thread->index] = false;
    return is_stray;
}

/* A copy of a thread's frame in posix/; what the program will go on with. */
static PERCORE struct thread_frame left;
_Static_assert(offsetof(struct thread_frame, ss) == offsetof(struct gate_frame, ss) &&
                   offsetof(struct thread_frame, rip) == offsetof(struct gate_frame, rip),
               "the same order");

static struct thread_frame *frame_of(struct thread *thread)
{
    bool is_outside = debug_is_at_signal(thread) &&
                      debug_memory_read(gate_cell.root.value, thread->frame.rdx, &left,
                                        sizeof(struct gate_frame)) == sizeof(struct gate_frame);
    return is_outside ? &left : &thread->frame;
}

static void frame_put(const struct thread *thread, const struct thread_frame *frame)
{
    if (frame == &left) {
        (void)debug_memory_write(gate_cell.root.value, thread->frame.rdx, &left,
                                 sizeof(struct gate_frame));
    }
}

/* Places of the general registers in GDB's order, then rip and rflags. */
struct places {
    uint64_t *at[18];
};

static struct places places_of(struct thread *thread, struct thread_frame *f)
{
    if (!is_live(thread)) {
        return (struct places){{&f->rax, &f->rbx, &f->rcx, &f->rdx, &f->rsi, &f->rdi, &f->rbp,
                                &f->rsp, &f->r8, &f->r9, &f->r10, &f->r11, &f->r12, &f->r13,
                                &f->r14, &f->r15, &f->rip, &f->rflags}};
    }
    struct kernel_trap *t = debug_context.trap;
    uint64_t *k = debug_context.kept;
    return (struct places){{&t->rax, &k[KEPT_RBX], &t->rcx, &t->rdx, &t->rsi, &t->rdi, &k[KEPT_RBP],
                            &t->rsp, &t->r8, &t->r9, &t->r10, &t->r11, &k[KEPT_R12], &k[KEPT_R13],
                            &k[KEPT_R14], &k[KEPT_R15], &t->rip, &t->rflags}};
}

static void read_x87(const uint8_t *area, bool is_there, struct debug_registers *registers)
{
    registers->x87_control[0] = X87_CONTROL_INITIAL;
    registers->x87_control[2] = 0xffff; /* all empty, as GDB wants the tag word */
    if (!is_there) {
        return;
    }
    uint16_t control, status, opcode;
    memcpy(&control, area, sizeof(control));
    memcpy(&status, area + 2, sizeof(status));
    memcpy(&opcode, area + 6, sizeof(opcode));
    uint32_t tags = 0;
    for (uint32_t i = 0; i < 8; i++) { /* physical register i; the area is in stack order */
        tags |= (area[4] >> i & 1) != 0 ? 0 : 3u << (2 * i);
        memcpy(registers->x87[i], area + AREA_X87 + i * X87_BYTES, sizeof(registers->x87[i]));
    }
    registers->x87_control[0] = control;
    registers->x87_control[1] = status;
    registers->x87_control[2] = tags;
    memcpy(&registers->x87_control[4], area + 8, sizeof(uint32_t));
    memcpy(&registers->x87_control[6], area + 16, sizeof(uint32_t));
    registers->x87_control[7] = opcode;
}

static void read_extended(const struct thread *thread, struct debug_registers *registers)
{
    const uint8_t *area = thread->extended;
    uint64_t state;
    memcpy(&state, area + AREA_STATE, sizeof(state));
    read_x87(area, (state & STATE_X87) != 0, registers);
    if ((state & STATE_SSE) != 0) {
        memcpy(registers->xmm, area + AREA_XMM, sizeof(registers->xmm));
    }
    memcpy(&registers->mxcsr, area + AREA_MXCSR, sizeof(registers->mxcsr));
    if ((state & STATE_AVX) != 0) {
        memcpy(registers->ymm_high, area + AREA_YMM_HIGH, sizeof(registers->ymm_high));
    }
}

/* @impl ATL-LLR-DEBUG-0009~1 */
void debug_registers_read(struct thread *thread, struct debug_registers *registers)
{
    *registers = (struct debug_registers){0};
    struct thread_frame *frame = frame_of(thread);
    struct places places = places_of(thread, frame);
    for (uint32_t i = 0; i < ARRAY_COUNT(registers->general); i++) {
        registers->general[i] = *places.at[i];
    }
    registers->rip = *places.at[16];
    registers->eflags = (uint32_t)*places.at[17];
    uint64_t code = frame->cs, data = frame->ss;
    if (is_live(thread)) {
        code = debug_context.trap->cs;
        data = debug_context.trap->ss;
    } else if (thread->resume != RESUME_FULL) {
        code = gate_cell.ring == 3 ? (SELECTOR_USER_CODE | 3) : SELECTOR_KERNEL_CODE;
        data = gate_cell.ring == 3 ? (SELECTOR_USER_DATA | 3) : SELECTOR_KERNEL_DATA;
    }
    registers->segments[0] = (uint32_t)code;
    registers->segments[1] = (uint32_t)data;
    registers->fs_base = thread->fs_base;
    registers->gs_base = thread->gs_base;
    read_extended(thread, registers);
}

/* All components are there from now on, with what the debugger has seen of them. */
static void write_extended(struct thread *thread, const struct debug_registers *registers)
{
    uint8_t *area = thread->extended;
    uint64_t state;
    memcpy(&state, area + AREA_STATE, sizeof(state));
    uint64_t wanted = STATE_X87 | STATE_SSE | (shared_facts.has_avx ? STATE_AVX : 0);
    if ((state & STATE_X87) == 0) {
        const uint16_t control = X87_CONTROL_INITIAL;
        memset(area, 0, AREA_MXCSR);
        memcpy(area, &control, sizeof(control));
    }
    for (uint32_t i = 0; i < 8; i++) {
        memcpy(area + AREA_X87 + i * X87_BYTES, registers->x87[i], sizeof(registers->x87[i]));
    }
    memcpy(area + AREA_XMM, registers->xmm, sizeof(registers->xmm));
    uint32_t mxcsr = registers->mxcsr & 0xffffu;
    memcpy(area + AREA_MXCSR, &mxcsr, sizeof(mxcsr));
    if (shared_facts.has_avx) {
        memcpy(area + AREA_YMM_HIGH, registers->ymm_high, sizeof(registers->ymm_high));
    }
    state |= wanted;
    memcpy(area + AREA_STATE, &state, sizeof(state));
}

static bool is_canonical(uint64_t address)
{
    return address < LAYOUT_USER_END || address >= -(uint64_t)LAYOUT_USER_END;
}

/* Inside posix/ or the kernel a thread cannot be sent elsewhere: its stack there would be lost.
 * @impl ATL-LLR-DEBUG-0009~1 ATL-LLR-DEBUG-0870~1 */
enum result debug_registers_write(struct thread *thread, const struct debug_registers *registers)
{
    struct thread_frame *frame = frame_of(thread);
    struct places places = places_of(thread, frame);
    bool is_moved = registers->rip != *places.at[16] || registers->general[RSP] != *places.at[RSP];
    bool is_inside = is_live(thread) || thread->resume != RESUME_FULL ||
                     gate_is_in_posix(&gate_cell, frame->rip);
    if ((is_moved && is_inside) || !is_canonical(registers->rip) ||
        !is_canonical(registers->fs_base) || !is_canonical(registers->gs_base)) {
        return RESULT_PERMISSION;
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(registers->general); i++) {
        *places.at[i] = registers->general[i];
    }
    if (is_moved && debug_is_at_signal(thread) && debug_signal_is_of_exception(thread->frame.rdi)) {
        thread->frame.rax =
            0; /* what faulted is not what goes on: a debugger that leaves means none */
    }
    *places.at[16] = registers->rip;
    *places.at[17] =
        (*places.at[17] & ~(uint64_t)FLAGS_WRITABLE) | (registers->eflags & FLAGS_WRITABLE);
    frame_put(thread, frame);
    thread->fs_base = registers->fs_base;
    thread->gs_base = registers->gs_base;
    write_extended(thread, registers);
    return RESULT_OK;
}

/* A thread that returns from a call gets a whole frame: in ring 0 the quick return has no flags. */
void debug_step_set(struct thread *thread, bool is_on)
{
    bool is_delivered = is_on && debug_action_of(thread).signal != 0; /* and then elsewhere */
    struct thread_frame *frame = is_delivered ? &thread->frame : frame_of(thread);
    uint64_t *flags = places_of(thread, frame).at[17];
    stepped_away[thread->index] |= is_on && frame == &left;
    if (is_on && !is_live(thread) && thread->resume == RESUME_GATE) {
        frame->rcx = frame->rip;
        frame->r11 = frame->rflags;
        frame->cs = gate_cell.ring == 3 ? (SELECTOR_USER_CODE | 3) : SELECTOR_KERNEL_CODE;
        frame->ss = gate_cell.ring == 3 ? (SELECTOR_USER_DATA | 3) : SELECTOR_KERNEL_DATA;
        thread->resume = RESUME_FULL;
    }
    *flags = is_on ? *flags | RFLAGS_TF : *flags & ~RFLAGS_TF;
    frame_put(thread, frame);
}
