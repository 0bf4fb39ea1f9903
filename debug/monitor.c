/* SPDX-License-Identifier: Apache-2.0 */
/* `monitor` commands of the debugger: tables for a person, at most 80 columns. The text goes back
 * as pairs of digits. */
#include "server.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <outbox.h>

#define LINE_BYTES 80u
#define WORD_BYTES_MAX 32u
#define TOP_THREADS_MAX 20u

struct line {
    char text[LINE_BYTES + 1];
    uint32_t used;
};

static void put(struct line *line, const char *text)
{
    for (; *text != '\0' && line->used < LINE_BYTES; text++) {
        line->text[line->used++] = *text;
    }
}

/* Blanks up to a column, one at least. */
static void column(struct line *line, uint32_t position)
{
    do {
        put(line, " ");
    } while (line->used < MIN(position, LINE_BYTES));
}

static void put_number(struct line *line, uint64_t value, uint32_t base)
{
    char digits[21] = "";
    uint32_t at = sizeof(digits) - 1;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put(line, base == 16 ? "0x" : "");
    put(line, digits + at);
}

static void end_line(struct line *line, struct debug_reply *reply)
{
    line->text[line->used++] = '\n';
    debug_reply_hex(reply, line->text, line->used);
    line->used = 0;
}

static void say(struct debug_reply *reply, const char *text)
{
    struct line line = {.used = 0};
    put(&line, text);
    end_line(&line, reply);
}

static void help(struct debug_reply *reply)
{
    say(reply, "monitor cores    what each core does");
    say(reply, "monitor threads  all threads, by core");
    say(reply, "monitor top      threads by processor time since boot");
    say(reply, "monitor mem      frames of each core");
    say(reply, "monitor channels messages between cores");
    say(reply, "monitor gate     how often the kernel was entered, by core and call");
    say(reply, "monitor irqs     interrupts and exceptions, by core and vector");
    say(reply, "monitor audit    judges the page tables of all cores now");
    say(reply, "monitor trace save  GDB's commands that save the trace rings");
    say(reply, "monitor exit     ends the machine");
}

static void cores(struct debug_reply *reply)
{
    say(reply, "core  state        runs");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        const struct debug_page *page = debug_page_of_remote(core);
        const struct debug_listed *thread = debug_list_of_handle(page->current);
        struct line line = {.used = 0};
        put_number(&line, core, 10);
        column(&line, 6);
        if (!debug_is_stopped_remote(core)) {
            put(&line, "no answer");
        } else if (page->is_idle) {
            put(&line, "idle");
        } else {
            put(&line, page->is_in_kernel ? "kernel" : "thread");
            column(&line, 19);
            put_number(&line, thread != NULL ? thread->id : 0, 10);
            put(&line, " ");
            put(&line, thread != NULL ? thread->name : "");
        }
        end_line(&line, reply);
    }
}

static void threads(struct debug_reply *reply)
{
    say(reply, "thread   core  state      priority  rip                 name");
    for (uint32_t i = 0; i < debug_list_count(); i++) {
        const struct debug_listed *entry = debug_list_at(i);
        struct line line = {.used = 0};
        put_number(&line, entry->id, 10);
        column(&line, 9);
        put_number(&line, entry->thread.core, 10);
        column(&line, 15);
        put(&line, debug_state_name(entry));
        column(&line, 26);
        put_number(&line, entry->thread.priority, 10);
        column(&line, 36);
        put_number(&line, entry->thread.rip, 16);
        column(&line, 56);
        put(&line, entry->name);
        end_line(&line, reply);
    }
}

/* False: the core does not answer. */
static bool counts_of(uint32_t core, struct gate_core_counts *counts)
{
    struct debug_question question = {.kind = DEBUG_QUESTION_CORE, .core = core};
    struct debug_core report;
    const uint8_t *answer;
    if (debug_ask(&question, NULL, &answer) != (int64_t)sizeof(report)) {
        return false;
    }
    memcpy(&report, answer, sizeof(report));
    *counts = report.counts;
    return true;
}

static void row(struct line *line, const uint64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        column(line, 6 + 13 * i);
        put_number(line, values[i], 10);
    }
}

static void memory(struct debug_reply *reply)
{
    say(reply, "core  free (KiB)   of (KiB)     threads");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct gate_core_counts counts;
        struct line line = {.used = 0};
        put_number(&line, core, 10);
        if (counts_of(core, &counts)) {
            const uint64_t values[] = {counts.frames_free * 4, counts.frames_total * 4,
                                       counts.threads_live};
            row(&line, values, ARRAY_COUNT(values));
        }
        end_line(&line, reply);
    }
}

/* A row for each call that was made. @impl ATL-LLR-DEBUG-0805~1 */
static void gate_calls(struct debug_reply *reply)
{
    static PERCORE uint64_t counts[GATE_CALL_COUNT];
    say(reply, "core  call         count");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct debug_question question = {.kind = DEBUG_QUESTION_GATE, .core = core};
        const uint8_t *answer;
        if (debug_ask(&question, NULL, &answer) != (int64_t)sizeof(counts)) {
            continue;
        }
        memcpy(counts, answer, sizeof(counts));
        for (uint32_t number = 0; number < GATE_CALL_COUNT; number++) {
            if (counts[number] != 0) {
                struct line line = {.used = 0};
                put_number(&line, core, 10);
                column(&line, 6);
                put(&line, debug_gate_name(number));
                column(&line, 19);
                put_number(&line, counts[number], 10);
                end_line(&line, reply);
            }
        }
    }
}

static void gate(struct debug_reply *reply)
{
    say(reply, "core  gate calls   Linux calls  interrupts   faults       switches");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct gate_core_counts counts;
        struct line line = {.used = 0};
        put_number(&line, core, 10);
        if (counts_of(core, &counts)) {
            const uint64_t values[] = {counts.gate_calls, counts.reflections, counts.interrupts,
                                       counts.faults, counts.switches};
            row(&line, values, ARRAY_COUNT(values));
        }
        end_line(&line, reply);
    }
    gate_calls(reply);
}

/* The threads that ran longest. @impl ATL-LLR-DEBUG-0804~1 */
static void top(struct debug_reply *reply)
{
    uint64_t now_ns = MAX(percpu_operation_now(), 100ull), below = UINT64_MAX;
    say(reply, "thread   core  cpu %   cpu ms       name");
    for (uint32_t shown = 0; shown < TOP_THREADS_MAX;) {
        uint64_t longest = 0;
        for (uint32_t i = 0; i < debug_list_count(); i++) {
            uint64_t run_ns = debug_list_at(i)->thread.run_ns;
            longest = run_ns < below ? MAX(longest, run_ns) : longest;
        }
        for (uint32_t i = 0; longest != 0 && i < debug_list_count(); i++) {
            const struct debug_listed *entry = debug_list_at(i);
            if (entry->thread.run_ns == longest && shown++ < TOP_THREADS_MAX) {
                struct line line = {.used = 0};
                put_number(&line, entry->id, 10);
                column(&line, 9);
                put_number(&line, entry->thread.core, 10);
                column(&line, 15);
                put_number(&line, longest / (now_ns / 100), 10);
                column(&line, 23);
                put_number(&line, longest / 1000000, 10);
                column(&line, 36);
                put(&line, entry->name);
                end_line(&line, reply);
            }
        }
        if (longest == 0) {
            return;
        }
        below = longest;
    }
}

/* Messages that one core's ring to each other one has carried, and those not taken yet.
 * @impl ATL-LLR-DEBUG-0804~1 */
static void channels(struct debug_reply *reply)
{
    static PERCORE struct debug_channel rows[CORE_COUNT_MAX][CORE_COUNT_MAX];
    memset(rows, 0, sizeof(rows));
    say(reply, "from  to           messages     not taken");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct debug_question question = {.kind = DEBUG_QUESTION_CHANNELS, .core = core};
        const uint8_t *answer;
        int64_t bytes = debug_ask(&question, NULL, &answer);
        memcpy(rows[core], answer, bytes > 0 ? MIN((size_t)bytes, sizeof(rows[core])) : 0);
    }
    for (uint32_t from = 0; from < percpu_core_count; from++) {
        for (uint32_t to = 0; to < percpu_core_count; to++) {
            uint32_t sent = rows[from][to].sent;
            if (sent != 0) {
                struct line line = {.used = 0};
                const uint64_t values[] = {to, sent, sent - rows[to][from].taken};
                put_number(&line, from, 10);
                row(&line, values, ARRAY_COUNT(values));
                end_line(&line, reply);
            }
        }
    }
}

/* @impl ATL-LLR-DEBUG-0804~1 */
static void irqs(struct debug_reply *reply)
{
    static PERCORE uint64_t counts[DEBUG_VECTORS];
    say(reply, "core  vector       count");
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct debug_question question = {.kind = DEBUG_QUESTION_INTERRUPTS, .core = core};
        const uint8_t *answer;
        if (debug_ask(&question, NULL, &answer) != (int64_t)sizeof(counts)) {
            continue;
        }
        memcpy(counts, answer, sizeof(counts));
        for (uint32_t vector = 0; vector < DEBUG_VECTORS; vector++) {
            if (counts[vector] != 0) {
                struct line line = {.used = 0};
                const uint64_t values[] = {vector, counts[vector]};
                put_number(&line, core, 10);
                row(&line, values, ARRAY_COUNT(values));
                end_line(&line, reply);
            }
        }
    }
}

static void audit(struct debug_reply *reply)
{
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct debug_question question = {.kind = DEBUG_QUESTION_AUDIT, .core = core};
        const uint8_t *answer;
        int64_t result = debug_ask(&question, NULL, &answer);
        struct line line = {.used = 0};
        put(&line, "core ");
        put_number(&line, core, 10);
        put(&line, result == RESULT_OK          ? ": holds"
                   : result == RESULT_TIMED_OUT ? ": no answer"
                                                : ": DOES NOT HOLD");
        end_line(&line, reply);
    }
}

static void end(struct debug_reply *reply)
{
    say(reply, "the machine ends");
    debug_server_exit();
}

/* The stub has no files; GDB has. @impl ATL-LLR-DEBUG-1191~1 */
static void trace_save(struct debug_reply *reply)
{
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        const struct trace_ring *ring = outbox_of_remote((core_id_t){core})->trace;
        struct line line = {.used = 0};
        put(&line, "dump binary memory core");
        put_number(&line, core, 10);
        put(&line, ".ring ");
        put_number(&line, (uint64_t)ring, 16);
        put(&line, " ");
        put_number(&line, (uint64_t)(ring + 1), 16);
        end_line(&line, reply);
    }
}

/* @impl ATL-LLR-DEBUG-0023~1 */
void debug_monitor(struct debug_text *packet, struct debug_reply *reply)
{
    static const struct {
        const char *name;
        void (*write)(struct debug_reply *reply);
    } commands[] = {
        {"cores", cores}, {"threads", threads},       {"top", top},   {"memory", memory},
        {"mem", memory},  {"channels", channels},     {"gate", gate}, {"irqs", irqs},
        {"audit", audit}, {"trace save", trace_save}, {"exit", end}};
    uint8_t word[WORD_BYTES_MAX];
    struct debug_text text = {word, (uint32_t)debug_text_hex(packet, word, sizeof(word))};
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        struct debug_text rest = text;
        if (debug_text_word(&rest, commands[i].name) && rest.left == 0) {
            commands[i].write(reply);
            return;
        }
    }
    help(reply);
}
