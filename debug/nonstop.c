/* SPDX-License-Identifier: Apache-2.0 */
/* Non-stop mode: a thread stops alone, and all others run (GDB manual, "Remote Non-Stop",
 * "Notification Packets"). Core 0.
 *
 * The machine still stops as a whole, but only for as long as one packet or one event takes; then
 * the threads that are listed here stand still, each by its core's scheduler (freeze.c), and
 * everything else goes on. What goes over the line waits for no core: it is queued when the machine
 * runs again. So all that the rest of the stub knows of a machine that stands still holds.
 *
 *  1. A thread is listed (in the server's page) or runs, and that changes only while all cores
 *     stand still. What is told of it is what it will be until it goes on.
 *  2. A stop is PENDING, then SENT, then TOLD, and one at a time is SENT: the first of a sequence
 * by a notification, the next by the answer to the vStopped that says that it has come.
 *  3. Only a thread whose stop is TOLD goes on: nothing that happened is lost.
 *  4. An event of a core whose kernel is in the middle of something stops no core: it is put off
 *     until the kernel is left. So breakpoints in the kernel are refused, and those in posix/,
 * where GDB could not step over one: it does so at another place. */
#include "server.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"
#include "line.h"

#include <cpu/string.h>
#include <cpu/time.h>

#define NOTIFICATION_BYTES 256u
#define FETCH_NS_MAX 5000000000ull

enum stop_state { STOP_PENDING, STOP_SENT, STOP_TOLD };

struct stop {
    uint64_t id;
    enum stop_state state;
    struct debug_event event;
};

static PERCORE struct stop stops[DEBUG_THREADS_MAX]; /* the same order as the server's list */
static PERCORE bool is_notified; /* a sequence is under way: the debugger will say vStopped */
static PERCORE uint8_t out[DEBUG_PACKET_BYTES_MAX + NOTIFICATION_BYTES];
static PERCORE uint32_t out_bytes;
static PERCORE struct debug_reply notification;

/* ---- the list */

static struct stop *find(uint64_t id)
{
    for (uint32_t i = 0; i < debug_server()->stopped_count; i++) {
        if (stops[i].id == id) {
            return &stops[i];
        }
    }
    return NULL;
}

const struct debug_event *debug_nonstop_event(uint64_t id)
{
    const struct stop *stop = find(id);
    return stop != NULL ? &stop->event : NULL;
}

static void step_end(uint64_t handle)
{
    struct debug_plan *plan = &debug_server()->plan;
    for (uint32_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].thread == handle) {
            plan->actions[i] = plan->actions[--plan->action_count];
            return;
        }
    }
}

/* False: there are as many as can be. */
static bool add(uint64_t id, const struct debug_event *event)
{
    struct debug_server_page *server = debug_server();
    if (find(id) != NULL) {
        return true;
    }
    if (server->stopped_count == DEBUG_THREADS_MAX) {
        return false;
    }
    stops[server->stopped_count] = (struct stop){.id = id, .event = *event};
    server->stopped[server->stopped_count++] = event->thread;
    step_end(event->thread);
    return true;
}

static void remove(struct stop *stop)
{
    struct debug_server_page *server = debug_server();
    uint32_t last = --server->stopped_count;
    server->stopped[stop - stops] = server->stopped[last];
    *stop = stops[last];
}

/* @impl ATL-LLR-DEBUG-0841~1 */
bool debug_nonstop_collect(void)
{
    struct debug_server_page *server = debug_server();
    server->plan.reported = 0;
    for (uint32_t i = 0; i < server->stopped_count; i++) {
        const struct debug_listed *thread = debug_list_find(stops[i].id);
        if (thread != NULL) { /* another core may have it now */
            server->stopped[i] = stops[i].event.thread = thread->thread.handle;
        }
    }
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        const struct debug_page *page = debug_page_of_remote(core);
        if (!debug_is_stopped_remote(core) ||
            !atomic_load_explicit(&page->is_trapped, memory_order_acquire)) {
            continue;
        }
        const struct debug_listed *thread = debug_list_of_handle(page->event.thread);
        if (thread == NULL || add(thread->id, &page->event)) {
            server->plan.reported |= 1ull << core;
        }
    }
    return server->plan.reported != 0;
}

/* ---- what the debugger wants */

/* @impl ATL-HLR-DEBUG-0840~1 */
void debug_nonstop_begin(void)
{
    debug_plan_simple(NULL, DEBUG_ACTION_CONTINUE, DEBUG_ACTION_CONTINUE, 0);
    debug_server()->is_nonstop = true;
    is_notified = false;
    (void)debug_nonstop_collect();
}

/* @impl ATL-LLR-DEBUG-0846~1 */
void debug_nonstop_end(void)
{
    debug_server()->is_nonstop = false;
    debug_server()->stopped_count = 0;
}

bool debug_nonstop_is_service(const struct debug_listed *thread)
{
    return thread->thread.priority == GATE_PRIORITY_COUNT - 1;
}

/* @impl ATL-LLR-DEBUG-0845~1 */
bool debug_nonstop_may_break(uint32_t kind, uint64_t address)
{
    bool is_execution = kind <= 1;
    return !debug_server()->is_nonstop || !is_execution ||
           (address < LAYOUT_USER_END && !gate_is_in_posix(&gate_cell, address));
}

bool debug_nonstop_stop(const struct debug_listed *thread, uint32_t signal)
{
    const struct debug_event event = {.signal = signal, .thread = thread->thread.handle};
    return add(thread->id, &event);
}

/* Ctrl-C: a thread that runs, or any that does not stand still yet. */
void debug_nonstop_interrupt(void)
{
    const struct debug_listed *chosen = debug_list_find(debug_list_running());
    for (uint32_t i = 0; i < debug_list_count(); i++) {
        const struct debug_listed *thread = debug_list_at(i);
        bool is_good =
            chosen != NULL && find(chosen->id) == NULL && !debug_nonstop_is_service(chosen);
        chosen = is_good ? chosen : thread;
    }
    if (chosen != NULL && !debug_nonstop_is_service(chosen)) {
        (void)debug_nonstop_stop(chosen, DEBUG_SIGNAL_INTERRUPT);
    }
}

bool debug_nonstop_can_go(const struct debug_listed *thread)
{
    const struct stop *stop = find(thread->id);
    return stop != NULL && stop->state == STOP_TOLD;
}

/* @impl ATL-LLR-DEBUG-0842~1 */
void debug_nonstop_go(const struct debug_listed *thread, const struct debug_action *action)
{
    struct debug_plan *plan = &debug_server()->plan;
    struct stop *stop = find(thread->id);
    if (stop->event.kind == DEBUG_EVENT_SIGNAL) {
        const uint64_t signal = debug_signal_of_number(action->signal);
        struct debug_question question = {.kind = DEBUG_QUESTION_DELIVER,
                                          .core = thread->thread.core,
                                          .bytes = sizeof(signal),
                                          .address = thread->thread.handle};
        const uint8_t *answer;
        (void)debug_ask(&question, &signal, &answer);
    }
    if (action->kind == DEBUG_ACTION_STEP) {
        plan->actions[plan->action_count] = *action;
        plan->actions[plan->action_count++].thread = thread->thread.handle;
    }
    remove(stop);
}

/* ---- telling */

/* The next stop of the sequence; false: there is none, and it ends. */
static bool put_next(struct debug_reply *reply)
{
    is_notified = false;
    for (uint32_t i = 0; i < debug_server()->stopped_count && !is_notified; i++) {
        if (stops[i].state == STOP_PENDING) {
            debug_stop_put(reply, &stops[i].event, debug_list_find(stops[i].id));
            stops[i].state = STOP_SENT;
            is_notified = true;
        }
    }
    return is_notified;
}

/* @impl ATL-LLR-DEBUG-0843~1 */
void debug_nonstop_next(struct debug_reply *reply)
{
    for (uint32_t i = 0; i < debug_server()->stopped_count; i++) {
        stops[i].state = stops[i].state == STOP_SENT ? STOP_TOLD : stops[i].state;
    }
    if (!put_next(reply)) {
        debug_reply_text(reply, "OK");
    }
}

void debug_nonstop_again(struct debug_reply *reply)
{
    for (uint32_t i = 0; i < debug_server()->stopped_count; i++) {
        stops[i].state = STOP_PENDING;
    }
    debug_nonstop_next(reply);
}

static void queue(uint8_t first, struct debug_reply *reply)
{
    uint8_t footer[DEBUG_FOOTER_BYTES];
    debug_reply_footer(reply, footer);
    ASSERT(out_bytes + 1 + reply->bytes + sizeof(footer) <= sizeof(out));
    out[out_bytes] = first;
    memcpy(out + out_bytes + 1, reply->body, reply->bytes);
    memcpy(out + out_bytes + 1 + reply->bytes, footer, sizeof(footer));
    out_bytes += 1 + reply->bytes + (uint32_t)sizeof(footer);
}

void debug_nonstop_reply(struct debug_reply *reply)
{
    queue('$', reply);
}

void debug_nonstop_notify(void)
{
    debug_reply_clear(&notification);
    debug_reply_text(&notification, "Stop:");
    if (!is_notified && put_next(&notification)) {
        queue('%', &notification);
    }
}

void debug_nonstop_send(void)
{
    if (out_bytes > 0) {
        debug_line_queue(out, out_bytes);
        out_bytes = 0;
    }
}

/* ---- the end */

/* Sends what is queued at once. */
static void send_now(void)
{
    debug_line_flush();
    debug_nonstop_send();
    debug_line_flush();
}

/* The end is the last of the sequence that is under way, or a sequence of its own. The machine is
 * gone afterwards: so the debugger's vStopped is waited for. @impl ATL-LLR-DEBUG-0844~1 */
void debug_nonstop_ended(struct debug_reply *end, struct debug_receiver *receiver)
{
    uint64_t deadline = cpu_now_ns() + FETCH_NS_MAX;
    bool is_told = !is_notified, is_over = false;
    debug_reply_clear(&notification);
    debug_reply_text(&notification, "Stop:");
    for (uint32_t i = 0; i < end->bytes; i++) {
        debug_reply_byte(&notification, end->body[i]);
    }
    if (is_told) {
        queue('%', &notification);
    }
    send_now();
    while (!is_over && cpu_now_ns() < deadline) {
        uint8_t byte;
        if (!debug_line_receive(&byte)) {
            cpu_pause();
        } else if (debug_receiver_take(receiver, byte) == DEBUG_INPUT_PACKET) {
            struct debug_text text = {receiver->body, receiver->bytes};
            bool is_fetched = debug_text_word(&text, "vStopped");
            is_over = is_fetched && is_told;
            debug_reply_clear(&notification);
            debug_reply_text(&notification, is_over ? "OK" : "E01");
            queue('$', is_fetched && !is_told ? end : &notification);
            is_told |= is_fetched;
            send_now();
        }
    }
}
