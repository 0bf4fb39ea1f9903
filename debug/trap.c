/* SPDX-License-Identifier: Apache-2.0 */
/* What the stub sees of the kernel. The linker puts these functions in place of the kernel's own
 * (ld, option --wrap): the kernel has no hook, and is the same without this folder. */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"
#include "instructions.h"
#include "line.h"
#include "record.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/msr.h>
#include <cpu/time.h>
#include <driver/console.h>
#include <gate/gate.h>
#include <kernel/image.h>
#include <main.h>

#define VECTOR_DEBUG_EXCEPTION 1
#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define RFLAGS_RF (1ull << 16)
#define DR7_WRITE_8(slot) ((2ull << (2 * (slot))) | (0x9ull << (16 + 4 * (slot))))
#define DR7_EXECUTE(slot) (2ull << (2 * (slot)))

noreturn void __real_trap_from_cell(uint64_t vector, uint64_t error, uint64_t address);
noreturn void __wrap_trap_from_cell(uint64_t vector, uint64_t error, uint64_t address);
void __real_memory_region_free_ranges(core_id_t self, void (*use)(paddr_t start, paddr_t end));
void __wrap_memory_region_free_ranges(core_id_t self, void (*use)(paddr_t start, paddr_t end));
int64_t __real_gate_thread_start(uint64_t entry, uint64_t stack, uint64_t cookie,
                                 uint64_t priority);
int64_t __wrap_gate_thread_start(uint64_t entry, uint64_t stack, uint64_t cookie,
                                 uint64_t priority);
noreturn void __real_end_machine(uint8_t kind, uint8_t status, uint8_t signal);
noreturn void __wrap_end_machine(uint8_t kind, uint8_t status, uint8_t signal);
bool debug_trap_in_kernel(struct kernel_trap *trap, uint64_t address, uint64_t *kept);

/* What --gdb-wait waits for, in core 0's debug register 0: posix/ writes where the program starts;
 * then the program's first instruction. */
static PERCORE enum { WAIT_NOT, WAIT_LOADED, WAIT_ENTRY } waiting;

PERCORE uint64_t debug_vector_counts[DEBUG_VECTORS];

/* ---- events */

static struct debug_event event_make(enum debug_event_kind kind, uint32_t signal, uint64_t address)
{
    struct thread *thread = percpu_current;
    return (struct debug_event){.kind = kind,
                                .signal = signal,
                                .thread = thread != NULL ? percpu_thread_handle(thread) : 0,
                                .address = address};
}

static void stop_with(enum debug_event_kind kind, uint32_t signal, uint64_t address)
{
    struct debug_event event = event_make(kind, signal, address);
    if (debug_context.trap != NULL && debug_server()->is_nonstop) {
        debug_stop_later(&event);
    } else {
        debug_stop(&event);
    }
}

/* When the program has been loaded its start is in posix/'s table. QEMU 7.2 has been seen to report
 * a write there for one to another page: then the wait goes on. */
static void wait_for_entry(void)
{
    struct debug_table table;
    if (debug_table_read(&table) && table.entry != 0) {
        debug_write_dr0(table.entry);
        debug_write_dr7(DR7_CLEAR | DR7_EXECUTE(0));
        waiting = WAIT_ENTRY;
    }
}

static bool is_in_range(const struct debug_action *action, uint64_t rip)
{
    return action->kind == DEBUG_ACTION_STEP && rip >= action->start && rip < action->end;
}

/* Which of the debug registers matched: DR6's low bits; of an instruction, not of data? */
static bool is_execution(uint32_t slot)
{
    return (debug_server()->plan.control >> (16 + 4 * slot) & 3) == 0;
}

static bool is_reported(void)
{
    return (debug_server()->plan.reported >> percpu_self.value & 1) != 0;
}

/* #DB. Stops if it was for the debugger; false: it was not. @rflags where RF has to be set before
 * the instruction at a breakpoint can run. @impl ATL-LLR-DEBUG-0011~1 */
static bool debug_exception(uint64_t rip, uint64_t *rflags)
{
    const struct debug_plan *plan = &debug_server()->plan;
    uint64_t status = debug_read_dr6();
    debug_write_dr6(DR6_CLEAR);
    if (waiting != WAIT_NOT && (status & 1) != 0) {
        if (waiting == WAIT_LOADED) {
            wait_for_entry();
        } else {
            waiting = WAIT_NOT;
            *rflags |= RFLAGS_RF;
            stop_with(DEBUG_EVENT_START, DEBUG_SIGNAL_TRAP, 0);
        }
        return true;
    }
    for (uint32_t slot = 0; slot < DEBUG_WATCHES; slot++) {
        if ((status >> slot & 1) != 0 && (plan->control >> (2 * slot) & 3) != 0) {
            bool is_before = is_execution(slot); /* the instruction; else after the access */
            if (!debug_conditions_hold(&plan->conditions[slot])) {
                *rflags |= is_before ? RFLAGS_RF : 0;
                return true;
            }
            enum debug_event_kind kind = plan->is_memory[slot] ? DEBUG_EVENT_BREAKPOINT
                                         : is_before           ? DEBUG_EVENT_HARDWARE
                                                               : DEBUG_EVENT_WATCH;
            stop_with(kind, DEBUG_SIGNAL_TRAP, plan->watch[slot]);
            if (is_before && is_reported()) {
                *rflags |= RFLAGS_RF;
            }
            return true;
        }
    }
    struct debug_action action = {0};
    if (percpu_current != NULL) {
        action = debug_action_of(percpu_current);
    }
    bool is_stray = percpu_current != NULL && debug_step_is_stray(percpu_current);
    bool is_put_off = debug_context.trap != NULL && debug_server()->is_nonstop;
    if ((status & DR6_STEP) == 0 || action.kind != DEBUG_ACTION_STEP || is_put_off) {
        *rflags &= is_stray ? ~(uint64_t)RFLAGS_TF : UINT64_MAX;
        return (status & DR6_STEP) != 0 && is_stray;
    }
    if (!is_in_range(&action, rip)) {
        stop_with(DEBUG_EVENT_STEP, DEBUG_SIGNAL_TRAP, 0);
    }
    return true;
}

/* ---- from a thread */

static bool is_passed(uint32_t signal)
{
    const struct debug_server_page *server = debug_server();
    return !server->is_attached || signal >= DEBUG_SIGNAL_WORDS * 64 ||
           (server->passed_signals[signal / 64] >> signal % 64 & 1) != 0;
}

/* posix/ asks what to deliver. If something else was told, it asks again. In non-stop mode it is
 * answered when its thread goes on (DEBUG_QUESTION_DELIVER).
 * @impl ATL-LLR-DEBUG-0012~1 ATL-LLR-DEBUG-0760~1 */
static void asked_about_signal(struct thread *thread)
{
    uint32_t signal = debug_signal_number(thread->frame.rdi);
    if (is_passed(signal)) {
        return;
    }
    stop_with(DEBUG_EVENT_SIGNAL, signal, thread->frame.rsi);
    if (!debug_server()->is_attached) {
        return;
    }
    if (!is_reported()) {
        thread->frame.rip--;
    } else if (!debug_server()->is_nonstop) {
        thread->frame.rax = debug_signal_of_number(debug_action_of(thread).signal);
    }
}

/* DEBUG_VECTOR, or the line's. True: this core must stop. */
static bool interrupt(uint64_t vector)
{
    cpu_apic_write(APIC_END_OF_INTERRUPT, 0);
    if (vector == DEBUG_LINE_VECTOR) {
        debug_line_service();
    }
    if (debug_stop_is_under_way()) {
        return false;
    }
    if (debug_stop_is_put_off()) {
        return true;
    }
    if (percpu_self.value != 0) {
        return debug_stop_is_wanted();
    }
    /* A debugger that comes before the program is there is served when it is. */
    if (vector != DEBUG_LINE_VECTOR) {
        return debug_server_must_wait();
    }
    if (waiting != WAIT_NOT) {
        return false;
    }
    bool must_stop = debug_server_listen();
    if (!must_stop) {
        debug_line_settle();
    }
    return must_stop;
}

static bool is_ours(uint64_t vector)
{
    return vector == DEBUG_VECTOR || vector == DEBUG_LINE_VECTOR;
}

/* @impl ATL-LLR-DEBUG-0011~1 */
noreturn void __wrap_trap_from_cell(uint64_t vector, uint64_t error, uint64_t address)
{
    struct thread_frame *frame = &percpu_current->frame;
    debug_context.trap = NULL;
    debug_vector_counts[vector % DEBUG_VECTORS]++;
    if (is_ours(vector)) {
        if (interrupt(vector)) {
            debug_stop(NULL);
        }
        debug_live_poll();
        gate_leave();
    }
    if (vector == VECTOR_BREAKPOINT && debug_is_at_signal(percpu_current)) {
        asked_about_signal(percpu_current);
        gate_leave();
    }
    if (vector == VECTOR_BREAKPOINT && debug_breakpoint_is_at_remote(frame->rip - 1)) {
        frame->rip--;
        stop_with(DEBUG_EVENT_BREAKPOINT, DEBUG_SIGNAL_TRAP, 0);
        gate_leave();
    }
    if (vector == VECTOR_DEBUG_EXCEPTION && debug_exception(frame->rip, &frame->rflags)) {
        gate_leave();
    }
    __real_trap_from_cell(vector, error, address);
}

/* ---- from the kernel */

static bool kernel_exception(struct kernel_trap *trap)
{
    if (trap->vector == VECTOR_NMI) {
        if (debug_watchdog_look(trap)) {
            return true;
        }
        if (!debug_stop_is_urgent()) {
            return false;
        }
        debug_stop(NULL);
        return true;
    }
    if (trap->vector == VECTOR_BREAKPOINT && debug_breakpoint_is_at_remote(trap->rip - 1)) {
        trap->rip--;
        stop_with(DEBUG_EVENT_BREAKPOINT, DEBUG_SIGNAL_TRAP, 0);
        return true;
    }
    return trap->vector == VECTOR_DEBUG_EXCEPTION && debug_exception(trap->rip, &trap->rflags);
}

/* True: the trap is dealt with. */
bool debug_trap_in_kernel(struct kernel_trap *trap, uint64_t address, uint64_t *kept)
{
    (void)address;
    if (cpu_is_on_boot_tables()) {
        return false;
    }
    debug_vector_counts[trap->vector % DEBUG_VECTORS]++;
    if (is_ours(trap->vector)) {
        debug_look_soon(interrupt(trap->vector));
        return true;
    }
    struct debug_context before = debug_context;
    debug_context = (struct debug_context){trap, kept};
    bool is_done = kernel_exception(trap);
    debug_context = before;
    return is_done;
}

/* ---- the machine's beginning and end */

/* The last step of a core's start before it has threads. @impl ATL-LLR-DEBUG-0004~1 */
void __wrap_memory_region_free_ranges(core_id_t self, void (*use)(paddr_t start, paddr_t end))
{
    __real_memory_region_free_ranges(self, use);
    debug_memory_initialize();
    if (self.value == 0) {
        debug_record_tell();
        const char *line = debug_line_initialize();
        console_log(CONSOLE_ERROR,
                    line != NULL ? "atoll: debug image: whoever reaches %s commands this machine\n"
                                 : "atoll: debug image without a line for a debugger\n",
                    line);
    }
}

/* The machine's first thread. @impl ATL-LLR-DEBUG-0013~1 */
int64_t __wrap_gate_thread_start(uint64_t entry, uint64_t stack, uint64_t cookie, uint64_t priority)
{
    const struct debug_places *places = debug_places();
    bool is_asked = debug_server_resume();
    if ((is_asked || (boot_image()->flags & IMAGE_FLAG_DEBUG_WAIT) != 0) && places != NULL) {
        debug_write_dr0(shared_plan.posix_base + places->table +
                        offsetof(struct debug_table, entry));
        debug_write_dr7(DR7_CLEAR | DR7_WRITE_8(0));
        waiting = WAIT_LOADED;
    }
    debug_watchdog_start();
    return __real_gate_thread_start(entry, stack, cookie, priority);
}

noreturn void __wrap_end_machine(uint8_t kind, uint8_t status, uint8_t signal)
{
    debug_watchdog_end();
    if (kind == CONSOLE_EXIT_SIGNAL && percpu_self.value == 0) {
        debug_record_signal(signal);
    }
    debug_calls_end(kind, status, signal);
    debug_server_ended(kind, status, signal);
    __real_end_machine(kind, status, signal);
}
