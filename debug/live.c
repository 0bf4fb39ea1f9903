/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a machine that runs (./atoll live): nothing stops for them. Core 0 takes the packet
 * in the line's interrupt, and asks the core that it is about by one interrupt; that core answers
 * where its kernel is left, goes on, and interrupts core 0, which sends the answer, a few bytes for
 * each interrupt of the line. Nobody waits for anybody: a core that hangs never answers.
 *
 *     $qAtoll.live:TAG,CORE,KIND,FROM#..    ->    $bTAG:answer#..  or  $eTAG:#.. for what is not
 *
 * Numbers are hexadecimal; the answer is binary, as tools/atoll/live/line.py reads it. */
#include "internal.h"

#include "line.h"

#include <cpu/apic.h>
#include <cpu/string.h>

#define FRAME_BYTES 4u /* $ # and two digits */

struct asked {
    uint64_t tag;
    uint64_t number; /* of the question in the server's page */
    uint32_t core;
    bool is_open;
};

static PERCORE struct asked asked;
static PERCORE struct debug_reply reply;
static PERCORE uint8_t out[2 * DEBUG_DATA_BYTES + 64]; /* what the line sends */

static void send(void)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t sum = debug_reply_finish(&reply);
    uint32_t bytes = MIN(reply.bytes, (uint32_t)sizeof(out) - FRAME_BYTES);
    out[0] = '$';
    memcpy(out + 1, reply.body, bytes);
    out[bytes + 1] = '#';
    out[bytes + 2] = (uint8_t)digits[sum >> 4];
    out[bytes + 3] = (uint8_t)digits[sum & 15];
    debug_line_queue(out, bytes + FRAME_BYTES);
}

static void finish(int64_t result, const uint8_t *answer)
{
    debug_reply_clear(&reply);
    debug_reply_text(&reply, result >= 0 ? "b" : "e");
    debug_reply_number(&reply, asked.tag);
    debug_reply_text(&reply, ":");
    if (result > 0) {
        (void)debug_reply_binary(&reply, answer, MIN((size_t)result, DEBUG_DATA_BYTES));
    }
    asked.is_open = false;
    send();
}

static bool parse(struct debug_text *text, struct debug_question *question)
{
    uint64_t tag, core, kind, from;
    bool is_whole = debug_text_number(text, &tag) && debug_text_word(text, ",") &&
                    debug_text_number(text, &core) && debug_text_word(text, ",") &&
                    debug_text_number(text, &kind) && debug_text_word(text, ",") &&
                    debug_text_number(text, &from) && text->left == 0;
    if (!is_whole) {
        return false;
    }
    asked.tag = tag;
    asked.core = (uint32_t)MIN(core, UINT32_MAX);
    *question = (struct debug_question){.kind = (enum debug_question_kind)MIN(kind, INT32_MAX),
                                        .core = asked.core,
                                        .address = from};
    return true;
}

static bool may_be_asked(const struct debug_question *question)
{
    return question->core < percpu_core_count && question->kind >= DEBUG_QUESTION_CORE &&
           question->kind < DEBUG_QUESTION_KINDS;
}

/* @impl ATL-LLR-DEBUG-0750~1 */
bool debug_live_take(struct debug_text *text, bool is_stopped)
{
    struct debug_question question;
    const uint8_t *answer;
    if (!debug_text_word(text, "qAtoll.live:")) {
        return false;
    }
    if (debug_line_is_sending() || !parse(text, &question)) {
        return true; /* who asks so gets no answer */
    }
    if (!may_be_asked(&question)) {
        finish(RESULT_INVALID, NULL);
    } else if (is_stopped) {
        int64_t result = debug_ask(&question, NULL, &answer);
        finish(result, answer);
    } else {
        struct debug_server_page *server = debug_server();
        server->live_asked = question;
        asked.number = atomic_load(&server->live_question) + 1;
        asked.is_open = true;
        atomic_store_explicit(&server->live_question, asked.number, memory_order_seq_cst);
        if (question.core != percpu_self.value) {
            cpu_apic_send((core_id_t){(uint16_t)question.core}, DEBUG_VECTOR);
        }
    }
    return true;
}

/* A question that is replaced while it is read may be answered in part: its number has changed
 * then, so it is not sent, and is answered again. */
static void answer_own(void)
{
    const struct debug_server_page *server = debug_server();
    struct debug_page *page = debug_page_own();
    uint64_t number = atomic_load_explicit(&server->live_question, memory_order_acquire);
    if (number == atomic_load_explicit(&page->live_answered, memory_order_relaxed)) {
        return;
    }
    struct debug_question question = server->live_asked;
    if (question.core == percpu_self.value && may_be_asked(&question)) {
        page->result = debug_answer(&question, NULL, page->answer);
    }
    atomic_store_explicit(&page->live_answered, number, memory_order_release);
    if (question.core == percpu_self.value && percpu_self.value != 0) {
        cpu_apic_send((core_id_t){0}, DEBUG_VECTOR);
    }
}

/* @impl ATL-LLR-DEBUG-0751~1 */
void debug_live_poll(void)
{
    answer_own();
    if (percpu_self.value != 0 || !asked.is_open) {
        return;
    }
    const struct debug_page *page = debug_page_of_remote(asked.core);
    if (atomic_load_explicit(&page->live_answered, memory_order_acquire) == asked.number) {
        finish(page->result, page->answer);
    }
}

/* @impl ATL-LLR-DEBUG-0803~1 */
void debug_live_settle(void)
{
    const uint8_t *answer;
    debug_line_flush();
    if (asked.is_open) {
        int64_t result = debug_ask(&debug_server()->live_asked, NULL, &answer);
        finish(result, answer);
        debug_line_flush();
    }
}

void debug_live_cancel(void)
{
    asked.is_open = false;
    debug_line_flush();
}
