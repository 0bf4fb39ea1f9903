/* SPDX-License-Identifier: Apache-2.0 */
/* All cores stop together. Core 0 makes its epoch odd and interrupts the others; each notes the
 * epoch in its own page and stays in a loop that only answers questions, until the epoch is even
 * again. A core that has an event of its own interrupts core 0 and waits there as well. Who does
 * not come within ANSWER_NS_MAX gets an NMI; who does not come then is shown as not answering.
 */
#include "internal.h"

#include "../isolation/gate/internal.h"
#include "instructions.h"
#include "line.h"
#include "record.h"

#include <cpu/apic.h>
#include <cpu/string.h>
#include <cpu/time.h>
#include <gate/gate.h>
#include <kernel/stacks.h>
#include <main.h>

/* Once for the interrupt, once for the NMI: GDB gives an answer two seconds. A core that did not
 * come the last time is not waited for so long again. */
#define ANSWER_NS_MAX 700000000ull
#define SILENT_NS_MAX 50000000ull

/* What this core still has to tell: something else was told first. */
static PERCORE struct debug_event kept;
static PERCORE struct debug_event put_off;
static PERCORE uint64_t questions;
static PERCORE uint64_t silent; /* core 0: bit c: core c did not stop the last time */
static PERCORE bool is_under_way, is_stop_soon, is_poll_soon;

bool debug_stop_is_wanted(void)
{
    uint64_t epoch = atomic_load_explicit(&debug_server()->epoch, memory_order_acquire);
    return epoch % 2 != 0 && epoch != atomic_load(&debug_page_own()->epoch_seen);
}

bool debug_stop_is_urgent(void)
{
    if (is_under_way) {
        return false;
    }
    if (percpu_self.value != 0) {
        return debug_stop_is_wanted() &&
               atomic_load(&debug_server()->urgent) == atomic_load(&debug_server()->epoch);
    }
    for (uint32_t core = 1; core < percpu_core_count; core++) {
        if (atomic_load(&debug_page_of_remote(core)->is_urgent)) {
            return true;
        }
    }
    return false;
}

bool debug_stop_is_under_way(void)
{
    return is_under_way;
}

void debug_look_soon(bool must_stop)
{
    is_stop_soon |= must_stop;
    is_poll_soon = true;
}

void debug_look(void)
{
    if (is_stop_soon) {
        is_stop_soon = false;
        debug_context.trap = NULL;
        debug_stop(NULL);
    }
    if (is_poll_soon) {
        is_poll_soon = false;
        debug_live_poll();
    }
}

/* ---- a core that stops */

/* The stack of interrupts is free, unless an NMI came while an interrupt was served on it. */
static bool may_be_interrupted(void)
{
    uint64_t top = stacks_ist_top(LAYOUT_IST_INTERRUPT);
    uint64_t rsp = debug_context.trap != NULL ? debug_context.trap->rsp : 0;
    return rsp > top || rsp <= top - LAYOUT_IST_STACK_BYTES;
}

void debug_halt(void)
{
    if (may_be_interrupted()) {
        cpu_halt_until_interrupt();
    } else {
        cpu_pause();
    }
}

static void steps_set(bool is_on)
{
    const struct debug_plan *plan = &debug_server()->plan;
    for (uint32_t i = 0; i < plan->action_count; i++) {
        struct thread *thread = percpu_thread_find(plan->actions[i].thread);
        if (thread != NULL && plan->actions[i].kind == DEBUG_ACTION_STEP) {
            debug_step_set(thread, is_on);
        }
    }
}

/* While it lasts only the stub's interrupts are let through, of the highest class. */
static void stop_begin(void)
{
    struct debug_page *page = debug_page_own();
    is_under_way = true;
    cpu_apic_write(APIC_TASK_PRIORITY, DEBUG_VECTOR / 16 * 16 - 1);
    struct thread *current = percpu_current;
    debug_write_dr7(DR7_CLEAR);
    if (gate_loaded != NULL) {
        percpu_operation_switch(gate_loaded, NULL);
    }
    steps_set(false);
    page->current = current != NULL ? percpu_thread_handle(current) : 0;
    page->is_in_kernel = debug_context.trap != NULL;
    page->is_idle = current == NULL;
}

static void stop_end(void)
{
    const struct debug_plan *plan = &debug_server()->plan;
    if (debug_context.trap == NULL) {
        debug_memory_prepare();
    }
    debug_freeze_refresh();
    steps_set(true);
    debug_write_dr0(plan->watch[0]);
    debug_write_dr1(plan->watch[1]);
    debug_write_dr2(plan->watch[2]);
    debug_write_dr3(plan->watch[3]);
    debug_write_dr6(DR6_CLEAR);
    debug_write_dr7(plan->control);
    if (gate_loaded != NULL) {
        percpu_operation_switch(NULL, gate_loaded);
    }
    cpu_write_cr3(cpu_read_cr3()); /* entries may have changed */
    cpu_apic_write(APIC_TASK_PRIORITY, 0);
    is_under_way = false;
    is_poll_soon = true; /* its interrupt may have come meanwhile */
    percpu_reschedule = true;
}

static void answer_questions(uint64_t epoch)
{
    struct debug_page *page = debug_page_own();
    const struct debug_server_page *server = debug_server();
    while (atomic_load_explicit(&server->epoch, memory_order_acquire) == epoch) {
        uint64_t number = atomic_load_explicit(&server->question, memory_order_acquire);
        if (number != atomic_load_explicit(&page->answered, memory_order_relaxed)) {
            if (server->asked.core == percpu_self.value) {
                page->result = debug_answer(&server->asked, server->data, page->answer);
            }
            atomic_store_explicit(&page->answered, number, memory_order_release);
        }
        debug_halt();
    }
}

/* Of another core than 0: waits for the stop, and through it. */
static void follow(void)
{
    struct debug_page *page = debug_page_own();
    uint64_t deadline = cpu_now_ns() + ANSWER_NS_MAX;
    bool is_urgent = false;
    while (!debug_stop_is_wanted()) {
        if (!is_urgent && cpu_now_ns() > deadline) {
            is_urgent = true;
            atomic_store(&page->is_urgent, true);
            cpu_apic_send((core_id_t){0}, APIC_COMMAND_NMI);
        }
        cpu_pause();
    }
    uint64_t epoch = atomic_load(&debug_server()->epoch);
    atomic_store_explicit(&page->answered, atomic_load(&debug_server()->question),
                          memory_order_relaxed);
    atomic_store_explicit(&page->epoch_seen, epoch, memory_order_release);
    answer_questions(epoch);
}

/* An event that was not told, and that would not happen again by itself, is told later; not while
 * its thread stands still, nor when nobody asks for it any more. */
static void keep(const struct debug_event *event)
{
    bool is_told = (debug_server()->plan.reported >> percpu_self.value & 1) != 0;
    bool is_once = event->kind == DEBUG_EVENT_WATCH || event->kind == DEBUG_EVENT_STEP;
    if (event->kind != DEBUG_EVENT_NONE) {
        kept = is_once && !is_told ? *event : (struct debug_event){0};
    }
}

static bool kept_is_due(void)
{
    const struct debug_plan *plan = &debug_server()->plan;
    struct thread *thread = percpu_thread_find(kept.thread);
    if (kept.kind == DEBUG_EVENT_NONE || thread == NULL) {
        return false;
    }
    struct debug_action action = debug_action_of(thread);
    if (action.kind == DEBUG_ACTION_STOP) {
        return false;
    }
    bool is_asked = kept.kind == DEBUG_EVENT_STEP && action.kind == DEBUG_ACTION_STEP;
    for (uint32_t i = 0; i < DEBUG_WATCHES && kept.kind == DEBUG_EVENT_WATCH; i++) {
        is_asked |= plan->watch[i] == kept.address && (plan->control >> (2 * i) & 3) != 0;
    }
    if (!is_asked) {
        kept.kind = DEBUG_EVENT_NONE;
    }
    return is_asked;
}

static void stop_once(const struct debug_event *event)
{
    struct debug_page *page = debug_page_own();
    page->event = *event;
    stop_begin();
    atomic_store_explicit(&page->is_trapped, event->kind != DEBUG_EVENT_NONE, memory_order_release);
    if (percpu_self.value == 0) {
        debug_serve();
    } else {
        if (event->kind != DEBUG_EVENT_NONE) {
            cpu_apic_send((core_id_t){0}, DEBUG_VECTOR);
        }
        follow();
    }
    atomic_store_explicit(&page->is_trapped, false, memory_order_relaxed);
    atomic_store_explicit(&page->is_urgent, false, memory_order_relaxed);
    stop_end();
}

void debug_stop_later(const struct debug_event *event)
{
    if (put_off.kind == DEBUG_EVENT_NONE) {
        put_off = *event;
    }
    cpu_apic_send(percpu_self, DEBUG_VECTOR);
}

bool debug_stop_is_put_off(void)
{
    return put_off.kind != DEBUG_EVENT_NONE;
}

/* @impl ATL-LLR-DEBUG-0007~1 */
void debug_stop(const struct debug_event *event)
{
    struct debug_event now = event != NULL ? *event : put_off;
    bool is_again;
    if (event == NULL) {
        put_off.kind = DEBUG_EVENT_NONE;
    }
    do {
        stop_once(&now);
        keep(&now);
        bool is_due = kept_is_due();
        now = is_due ? kept : (struct debug_event){0};
        /* The interrupt of the next stop may have come before this one was over; and a line on
         * which bytes are left gives no new one. */
        is_again =
            is_due || (percpu_self.value != 0 ? debug_stop_is_wanted() : debug_server_listen());
    } while (is_again);
    if (percpu_self.value == 0) {
        debug_line_settle();
    }
}

/* ---- core 0 */

bool debug_is_stopped_remote(uint32_t core)
{
    uint64_t epoch = atomic_load_explicit(&debug_server()->epoch, memory_order_relaxed);
    return core == percpu_self.value ||
           atomic_load_explicit(&debug_page_of_remote(core)->epoch_seen, memory_order_acquire) ==
               epoch;
}

/* Bit c: core c runs. */
static uint64_t running(void)
{
    uint64_t cores = 0;
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        cores |= (uint64_t)!debug_is_stopped_remote(core) << core;
    }
    return cores;
}

/* The cores that do not come in time. */
static uint64_t stop_by(uint32_t command)
{
    uint64_t start = cpu_now_ns(), left = running();
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        if ((left >> core & 1) != 0) {
            cpu_apic_send((core_id_t){core}, command);
        }
    }
    while ((left = running()) != 0 &&
           cpu_now_ns() - start < ((left & ~silent) != 0 ? ANSWER_NS_MAX : SILENT_NS_MAX)) {
        cpu_pause();
    }
    return left;
}

/* @impl ATL-LLR-DEBUG-0007~1 */
bool debug_stop_all(void)
{
    struct debug_server_page *server = debug_server();
    atomic_store_explicit(&server->epoch, atomic_load(&server->epoch) + 1, memory_order_seq_cst);
    uint64_t left = stop_by(DEBUG_VECTOR);
    if (left != 0) {
        atomic_store(&server->urgent, atomic_load(&server->epoch));
        left = stop_by(APIC_COMMAND_NMI);
    }
    silent = left;
    return left == 0;
}

void debug_release(void)
{
    struct debug_server_page *server = debug_server();
    atomic_store_explicit(&server->epoch, atomic_load(&server->epoch) + 1, memory_order_seq_cst);
    for (uint16_t core = 1; core < percpu_core_count; core++) {
        cpu_apic_send((core_id_t){core}, DEBUG_VECTOR);
    }
}

/* @impl ATL-LLR-DEBUG-0008~1 */
int64_t debug_ask(const struct debug_question *question, const void *data, const uint8_t **answer)
{
    struct debug_page *page = debug_page_of_remote(question->core);
    *answer = page->answer;
    if (question->core == percpu_self.value) {
        return debug_answer(question, data, page->answer);
    }
    if (!debug_is_stopped_remote(question->core)) {
        return debug_silent_answer(question, answer);
    }
    struct debug_server_page *server = debug_server();
    server->asked = *question;
    if (data != NULL) {
        memcpy(server->data, data, question->bytes);
    }
    atomic_store_explicit(&server->question, ++questions, memory_order_seq_cst);
    cpu_apic_send((core_id_t){(uint16_t)question->core}, DEBUG_VECTOR);
    uint64_t deadline = cpu_now_ns() + ANSWER_NS_MAX;
    while (atomic_load_explicit(&page->answered, memory_order_acquire) != questions) {
        if (cpu_now_ns() > deadline) {
            return debug_silent_answer(question, answer);
        }
        cpu_pause();
    }
    return page->result;
}
