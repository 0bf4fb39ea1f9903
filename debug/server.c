/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of the debugger, on core 0, while all cores stand still (GDB manual, "Remote Protocol").
 * Nothing that the debugger sends is believed: numbers are checked where they are used. */
#include "server.h"

#include "line.h"

#include <cpu/string.h>
#include <driver/console.h>
#include <kernel/image.h>

#define NOBODY UINT32_MAX
#define SIGNAL_KILL 9u

static PERCORE struct debug_receiver receiver;
static PERCORE struct debug_reply reply;
static PERCORE bool has_acknowledgement_off;   /* QStartNoAckMode */
static PERCORE bool is_stop_due;               /* the debugger waits for a stop */
static PERCORE bool is_interrupted, is_called; /* why the machine stops: Ctrl-C, a packet */
static PERCORE bool goes_on;
static PERCORE bool is_killed;       /* the program, and the machine when the debugger leaves */
static PERCORE uint64_t selected_id; /* of Hg; 0: any */
static PERCORE uint64_t stopped_id;  /* of the last stop */
static PERCORE struct debug_event told;

noreturn void __wrap_end_machine(uint8_t kind, uint8_t status, uint8_t signal);

/* ---- the line */

static void send_byte(uint8_t byte)
{
    debug_line_send(&byte, 1);
}

void debug_reply_footer(struct debug_reply *finished, uint8_t footer[DEBUG_FOOTER_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum = debug_reply_finish(finished);
    footer[0] = '#';
    footer[1] = (uint8_t)digits[sum >> 4];
    footer[2] = (uint8_t)digits[sum & 15];
}

static void send_reply(void)
{
    uint8_t footer[DEBUG_FOOTER_BYTES];
    if (debug_server()->is_nonstop) {
        debug_nonstop_reply(&reply);
        return;
    }
    debug_reply_footer(&reply, footer);
    send_byte('$');
    debug_line_send(reply.body, reply.bytes);
    debug_line_send(footer, sizeof(footer));
}

const struct debug_listed *debug_selected(void)
{
    const struct debug_listed *found = debug_list_find(selected_id);
    if (found == NULL) {
        found = debug_list_find(stopped_id);
    }
    return found != NULL ? found : debug_list_at(0);
}

/* ---- stops */

void debug_stop_put(struct debug_reply *to, const struct debug_event *event,
                    const struct debug_listed *thread)
{
    debug_reply_text(to, "T");
    uint8_t signal = (uint8_t)event->signal;
    debug_reply_hex(to, &signal, 1);
    if (event->kind == DEBUG_EVENT_BREAKPOINT) {
        debug_reply_text(to, "swbreak:;");
    } else if (event->kind == DEBUG_EVENT_HARDWARE) {
        debug_reply_text(to, "hwbreak:;");
    } else if (event->kind == DEBUG_EVENT_WATCH) {
        debug_reply_text(to, "watch:");
        debug_reply_number(to, event->address);
        debug_reply_text(to, ";");
    }
    if (thread != NULL) {
        debug_reply_text(to, "thread:");
        debug_reply_number(to, thread->id);
        debug_reply_text(to, ";core:");
        debug_reply_number(to, thread->thread.core);
        debug_reply_text(to, ";");
    }
}

static void put_stop(void)
{
    if (debug_extended_ended() != DEBUG_END_NONE) {
        debug_extended_put(&reply);
    } else {
        debug_stop_put(&reply, &told, debug_list_find(stopped_id));
    }
}

/* The core whose event is told now: the lowest that has one. */
static uint32_t trapped_core(void)
{
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        const struct debug_page *page = debug_page_of_remote(core);
        if (debug_is_stopped_remote(core) &&
            atomic_load_explicit(&page->is_trapped, memory_order_acquire)) {
            return core;
        }
    }
    return NOBODY;
}

/* Of a core or, after Ctrl-C, of a thread that runs, or any. */
static void choose_event(uint32_t core)
{
    debug_server()->plan.reported = core != NOBODY ? 1ull << core : 0;
    if (core != NOBODY) {
        told = debug_page_of_remote(core)->event;
        const struct debug_listed *thread = debug_list_of_handle(told.thread);
        stopped_id = thread != NULL ? thread->id : debug_list_running();
    } else {
        told = (struct debug_event){.signal = is_interrupted ? DEBUG_SIGNAL_INTERRUPT
                                                             : DEBUG_SIGNAL_TRAP};
        stopped_id = debug_list_running();
    }
    selected_id = 0;
}

const struct debug_event *debug_told(void)
{
    const struct debug_listed *selected = debug_selected();
    if (selected == NULL) {
        return NULL;
    }
    const struct debug_event *told_now = selected->id == stopped_id ? &told : NULL;
    return debug_server()->is_nonstop ? debug_nonstop_event(selected->id) : told_now;
}

/* ---- packets */

static bool says(struct debug_text text, const char *word)
{
    for (; text.left > 0; text.at++, text.left--) {
        struct debug_text rest = text;
        if (debug_text_word(&rest, word)) {
            return true;
        }
    }
    return false;
}

/* The memory map is for GDB, which says what LLDB does not: LLDB takes each entry for a file.
 * @impl ATL-LLR-DEBUG-0763~1 */
static void session_begin(const struct debug_text *greeting)
{
    debug_breakpoints_clear_all();
    has_acknowledgement_off = false;
    debug_server()->is_attached = true;
    debug_server()->is_nonstop = false; /* until this one asks for it, too */
    debug_extended_set(false);
    memset(debug_server()->passed_signals, 0, sizeof(debug_server()->passed_signals));
    debug_reply_text(&reply, "PacketSize=3f00;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+;"
                             "ConditionalBreakpoints+;QPassSignals+;QNonStop+;qXfer:features:read+;"
                             "qXfer:threads:read+;qXfer:exec-file:read+;qXfer:auxv:read+;"
                             "qXfer:libraries-svr4:read+;qXfer:siginfo:read+;binary-upload+;"
                             "xmlRegisters=i386");
    debug_reply_text(&reply, says(*greeting, "swbreak+") ? ";qXfer:memory-map:read+" : "");
}

static void session_end(void)
{
    debug_breakpoints_clear_all();
    debug_server()->is_attached = false;
    debug_nonstop_end();
    debug_plan_simple(NULL, DEBUG_ACTION_CONTINUE, DEBUG_ACTION_CONTINUE, 0);
    goes_on = true;
}

static void ok(bool is_done)
{
    debug_reply_text(&reply, is_done ? "OK" : "E0e");
}

static void pass_signals(struct debug_text *text)
{
    uint64_t *words = debug_server()->passed_signals, signal;
    memset(words, 0, sizeof(debug_server()->passed_signals));
    while (debug_text_number(text, &signal)) {
        if (signal < DEBUG_SIGNAL_WORDS * 64) {
            words[signal / 64] |= 1ull << signal % 64;
        }
        (void)debug_text_word(text, ";");
    }
    ok(true);
}

static void put_ids(void)
{
    debug_reply_text(&reply, "m");
    for (uint32_t i = 0; i < debug_list_count(); i++) {
        debug_reply_text(&reply, i > 0 ? "," : "");
        debug_reply_number(&reply, debug_list_at(i)->id);
    }
}

static void put_extra(struct debug_text *text)
{
    uint64_t id = 0;
    (void)debug_text_number(text, &id);
    const struct debug_listed *entry = debug_list_find(id);
    if (entry == NULL) {
        ok(false);
        return;
    }
    char line[64] = "core ";
    uint32_t used = 5;
    uint32_t core = entry->thread.core, priority = entry->thread.priority;
    if (core >= 10) {
        line[used++] = (char)('0' + core / 10);
    }
    line[used++] = (char)('0' + core % 10);
    const char *const parts[] = {", ", debug_state_name(entry), ", priority "};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        for (const char *at = parts[i]; *at != '\0'; at++) {
            line[used++] = *at;
        }
    }
    if (priority >= 10) {
        line[used++] = (char)('0' + priority / 10);
    }
    line[used++] = (char)('0' + priority % 10);
    debug_reply_hex(&reply, line, used);
}

static void query(struct debug_text *text)
{
    if (debug_text_word(text, "Supported")) {
        session_begin(text);
    } else if (debug_text_word(text, "Xfer:")) {
        debug_describe(text, &reply);
    } else if (debug_text_word(text, "fThreadInfo")) {
        put_ids();
    } else if (debug_text_word(text, "sThreadInfo")) {
        debug_reply_text(&reply, "l");
    } else if (debug_text_word(text, "ThreadExtraInfo,")) {
        put_extra(text);
    } else if (debug_text_word(text, "Attached")) {
        debug_reply_text(&reply, "1");
    } else if (debug_text_word(text, "GetTLSAddr:")) {
        debug_tls_get(text, &reply);
    } else if (debug_text_word(text, "Rcmd,")) {
        debug_monitor(text, &reply);
    } else if (debug_text_word(text, "Symbol:")) {
        ok(true);
    } else if (debug_text_word(text, "AtollMap:")) {
        debug_core_map(text, &reply);
    } else if (debug_text_word(text, "AtollFrame:")) {
        debug_core_frame(text, &reply);
    } else if (text->left == 1 && debug_text_word(text, "C")) {
        debug_reply_text(&reply, "QC");
        debug_reply_number(&reply, debug_selected() != NULL ? debug_selected()->id : 1);
    }
}

static void select(struct debug_text *text)
{
    uint64_t id = 0;
    if (debug_text_word(text, "c")) {
        ok(true); /* vCont names its threads */
        return;
    }
    bool is_any = !debug_text_word(text, "g") || debug_text_word(text, "-1");
    bool is_known =
        is_any || (debug_text_number(text, &id) && (id == 0 || debug_list_find(id) != NULL));
    if (is_known) {
        selected_id = id;
    }
    ok(is_known);
}

/* Z and z: kind,address,bytes */
static void breakpoint(struct debug_text *text, bool is_set)
{
    uint64_t kind, address, bytes;
    if (!debug_text_number(text, &kind) || !debug_text_word(text, ",") ||
        !debug_text_number(text, &address) || !debug_text_word(text, ",") ||
        !debug_text_number(text, &bytes) || kind > 4) {
        ok(false);
        return;
    }
    static PERCORE struct debug_conditions conditions;
    if (!debug_conditions_parse(text, &conditions)) {
        ok(false);
        return;
    }
    const struct debug_listed *selected = debug_selected();
    uint32_t core = selected != NULL ? selected->thread.core : 0;
    enum result result;
    if (!debug_nonstop_may_break((uint32_t)kind, address)) {
        result = RESULT_PERMISSION;
    } else if (kind == 0) {
        result = is_set ? debug_breakpoint_set(core, address, &conditions)
                        : debug_breakpoint_clear(address);
    } else {
        result = is_set ? debug_watch_set((uint32_t)kind, address, bytes, &conditions)
                        : debug_watch_clear((uint32_t)kind, address, bytes);
    }
    ok(result == RESULT_OK);
}

static void go_on(bool is_planned)
{
    if (is_planned && debug_extended_ended() == DEBUG_END_NONE) {
        debug_nonstop_end();
        is_stop_due = goes_on = true;
    } else {
        ok(false);
    }
}

/* In extended mode the debugger stays, and may have the program run again. */
static void kill(void)
{
    is_killed |= debug_extended_ended() == DEBUG_END_NONE;
    if (!debug_extended_keep(DEBUG_END_SIGNAL, SIGNAL_KILL)) {
        send_reply();
        __wrap_end_machine(CONSOLE_EXIT_SIGNAL, 0, SIGNAL_KILL);
    }
}

/* @impl ATL-LLR-DEBUG-1273~1 */
void debug_server_exit(void)
{
    is_killed |= debug_extended_ended() == DEBUG_END_NONE;
    session_end();
}

static void run(struct debug_text *text)
{
    struct debug_agreement agreement = {.has_acknowledgement_off = has_acknowledgement_off};
    memcpy(agreement.passed_signals, debug_server()->passed_signals,
           sizeof(agreement.passed_signals));
    ok(debug_extended_run(text, &agreement));
}

static void verbose(struct debug_text *text)
{
    if (debug_text_word(text, "Cont?")) {
        debug_reply_text(&reply, "vCont;c;C;s;S;r;t");
    } else if (debug_text_word(text, "Cont;")) {
        if (debug_server()->is_nonstop) {
            ok(debug_plan_apply(*text));
        } else {
            go_on(debug_plan_parse(text));
        }
    } else if (debug_text_word(text, "Stopped") && debug_server()->is_nonstop) {
        debug_nonstop_next(&reply);
    } else if (debug_text_word(text, "CtrlC") && debug_server()->is_nonstop) {
        debug_nonstop_interrupt();
        ok(true);
    } else if (debug_text_word(text, "File:")) {
        debug_file(text, &reply);
    } else if (debug_text_word(text, "Kill")) {
        ok(true);
        kill();
    } else if (debug_text_word(text, "Run")) {
        run(text);
    }
}

/* c and s of old debuggers: an address is not offered. */
static void simple(enum debug_action_kind kind)
{
    debug_plan_simple(debug_selected(), kind, DEBUG_ACTION_CONTINUE, 0);
    go_on(true);
}

static void set(struct debug_text *text)
{
    if (debug_text_word(text, "StartNoAckMode")) {
        has_acknowledgement_off = true;
        ok(true);
    } else if (debug_text_word(text, "PassSignals:")) {
        pass_signals(text);
    } else if (debug_text_word(text, "NonStop:1")) {
        debug_nonstop_begin();
        ok(true);
    } else if (debug_text_word(text, "NonStop:0")) {
        debug_server()->is_nonstop = false;
        ok(true);
    }
}

static void is_alive(struct debug_text *text)
{
    uint64_t id;
    ok(debug_text_number(text, &id) && debug_list_find(id) != NULL);
}

/* What is not known gets the empty reply. @impl ATL-LLR-DEBUG-0021~1 */
static void packet(uint8_t kind, struct debug_text *text)
{
    switch (kind) {
    case '?':
        if (debug_server()->is_nonstop) {
            debug_nonstop_again(&reply);
        } else {
            put_stop();
        }
        break;
    case 'q':
        query(text);
        break;
    case 'Q':
        set(text);
        break;
    case 'v':
        verbose(text);
        break;
    case 'g':
        debug_registers_get(&reply);
        break;
    case 'G':
        debug_registers_put(text, &reply);
        break;
    case 'p':
        debug_register_get(text, &reply);
        break;
    case 'P':
        debug_register_put(text, &reply);
        break;
    case 'm':
    case 'x':
        debug_memory_get(text, &reply, kind == 'x');
        break;
    case 'M':
    case 'X':
        debug_memory_put(text, &reply, kind == 'X');
        break;
    case 'H':
        select(text);
        break;
    case 'T':
        is_alive(text);
        break;
    case 'Z':
    case 'z':
        breakpoint(text, kind == 'Z');
        break;
    case 'c':
    case 's':
        if (debug_server()->is_nonstop) {
            ok(false);
            break;
        }
        simple(kind == 'c' ? DEBUG_ACTION_CONTINUE : DEBUG_ACTION_STEP);
        break;
    case 'D':
        ok(true);
        session_end();
        break;
    case 'k':
        kill();
        break;
    case '!':
        debug_extended_set(true);
        ok(true);
        break;
    default:
        break;
    }
}

static void serve_packet(void)
{
    struct debug_text text = {receiver.body, receiver.bytes};
    bool is_greeting = debug_text_word(&text, "qSupported");
    text = (struct debug_text){receiver.body, receiver.bytes};
    if (!has_acknowledgement_off || is_greeting) {
        send_byte('+'); /* a new debugger does not know what the last one agreed on */
    }
    debug_reply_clear(&reply);
    uint8_t kind = text.left > 0 ? text.at[0] : 0;
    if (text.left > 0) {
        text.at++;
        text.left--;
    }
    packet(kind, &text);
    bool is_silent = goes_on && is_stop_due;
    if (!is_silent) {
        send_reply();
    }
}

static void serve(enum debug_input input)
{
    struct debug_text text = {receiver.body, receiver.bytes};
    switch (input) {
    case DEBUG_INPUT_PACKET:
        if (!debug_live_take(&text, true)) {
            serve_packet();
        }
        break;
    case DEBUG_INPUT_DAMAGED:
        send_byte('-');
        break;
    case DEBUG_INPUT_REPEAT:
        if (!has_acknowledgement_off) {
            send_reply();
        }
        break;
    default:
        break;
    }
}

/* ---- the stop */

/* @impl ATL-LLR-DEBUG-0021~1 ATL-LLR-DEBUG-0764~1 */
bool debug_server_listen(void)
{
    uint8_t byte;
    /* A packet is here before anything stops for it: one that is cut off stops nothing. Once it is
     * called it takes nothing more: what follows is for debug_serve, though it interrupts again
     * before the stop. */
    while (!is_interrupted && !is_called && debug_line_receive(&byte)) {
        enum debug_input input = debug_receiver_take(&receiver, byte);
        struct debug_text text = {receiver.body, receiver.bytes};
        is_interrupted = input == DEBUG_INPUT_INTERRUPT && debug_server()->is_attached;
        is_called = input == DEBUG_INPUT_PACKET && !debug_live_take(&text, false);
    }
    return is_interrupted || is_called;
}

bool debug_server_must_wait(void)
{
    for (uint32_t core = 1; core < percpu_core_count; core++) {
        if (atomic_load(&debug_page_of_remote(core)->is_trapped)) {
            return true;
        }
    }
    return false;
}

/* A debugger that begins to talk while it waits for a stop is another one. */
static void say_stop(void)
{
    if (is_called) {
        is_stop_due = false;
    }
    if (is_stop_due) {
        debug_reply_clear(&reply);
        put_stop();
        send_reply();
        is_stop_due = false;
    }
}

/* In non-stop mode: for one packet, or for what happened. */
static void serve_briefly(void)
{
    (void)debug_nonstop_collect();
    if (is_interrupted) {
        debug_nonstop_interrupt();
    }
    if (is_called) {
        serve(DEBUG_INPUT_PACKET);
    }
    if (debug_server()->is_nonstop) {
        debug_nonstop_notify();
    }
}

static void serve_stopped(void)
{
    choose_event(trapped_core());
    say_stop();
    if (is_called) {
        serve(DEBUG_INPUT_PACKET);
    }
}

/* @impl ATL-LLR-DEBUG-0021~1 */
void debug_serve(void)
{
    debug_live_cancel();
    (void)debug_stop_all();
    if (trapped_core() == NOBODY && !is_interrupted && !is_called &&
        debug_extended_ended() == DEBUG_END_NONE) {
        debug_server()->plan.reported = 0;
        debug_release(); /* what somebody wanted to say has been said */
        return;
    }
    debug_list_build();
    debug_breakpoints_lift();
    goes_on = false;
    if (debug_server()->is_nonstop) {
        serve_briefly();
    } else {
        serve_stopped();
    }
    is_interrupted = is_called = false;
    while (!goes_on && !debug_server()->is_nonstop) {
        uint8_t byte;
        if (debug_line_receive(&byte)) {
            serve(debug_receiver_take(&receiver, byte));
        } else {
            debug_line_settle();
            debug_halt();
        }
    }
    if (is_killed && goes_on) {
        __wrap_end_machine(CONSOLE_EXIT_SIGNAL, 0, SIGNAL_KILL);
    }
    debug_breakpoints_drop();
    debug_release();
    debug_nonstop_send();
}

/* @impl ATL-LLR-DEBUG-0803~1 */
bool debug_server_answer(void)
{
    uint8_t byte;
    if (!debug_line_receive(&byte)) {
        return false;
    }
    if (debug_receiver_take(&receiver, byte) == DEBUG_INPUT_PACKET) {
        struct debug_text text = {receiver.body, receiver.bytes};
        (void)debug_live_take(&text, true);
        debug_line_flush();
    }
    return true;
}

/* @impl ATL-LLR-DEBUG-0022~1 */
void debug_server_ended(uint32_t kind, uint32_t status, uint32_t signal)
{
    if (percpu_self.value != 0 || !debug_server()->is_attached) {
        return;
    }
    uint8_t code =
        kind == CONSOLE_EXIT_NORMAL ? (uint8_t)status : (uint8_t)debug_signal_number(signal);
    code = kind == CONSOLE_EXIT_PANIC ? DEBUG_SIGNAL_ABORT : code;
    enum debug_end how = kind == CONSOLE_EXIT_NORMAL ? DEBUG_END_STATUS : DEBUG_END_SIGNAL;
    if (kind != CONSOLE_EXIT_PANIC && debug_extended_keep(how, code)) {
        debug_context.trap = NULL;
        debug_stop(&(struct debug_event){0}); /* until the debugger leaves */
        return;
    }
    debug_reply_clear(&reply);
    debug_end_put(&reply, how, code);
    if (debug_server()->is_nonstop) {
        if (kind != CONSOLE_EXIT_PANIC && !debug_stop_is_under_way()) {
            (void)debug_stop_all(); /* nothing of the program outlives it */
        }
        debug_nonstop_ended(&reply, &receiver);
    } else {
        send_reply();
    }
}

bool debug_server_resume(void)
{
    struct debug_agreement agreement;
    if (!debug_extended_resume(&agreement)) {
        return false;
    }
    has_acknowledgement_off = agreement.has_acknowledgement_off;
    memcpy(debug_server()->passed_signals, agreement.passed_signals,
           sizeof(agreement.passed_signals));
    debug_server()->is_attached = is_stop_due = true;
    return true;
}
