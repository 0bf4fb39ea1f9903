/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline's input. See discipline.h. The names of flags and characters are those of
 * termios(3); what several of them do together is what Linux's terminals do. */
#include "discipline_parts.h"

#include <posix/signal.h>

static bool is_word(uint8_t byte)
{
    return is_upper(byte) || is_lower(byte) || (byte >= '0' && byte <= '9') || byte == '_';
}

static uint32_t used(const struct discipline *discipline)
{
    return discipline->head - discipline->tail;
}

/* ---- editing */

enum erase { ERASE_CHARACTER, ERASE_WORD, ERASE_LINE };

/* Shows that the bytes from head on, of one character, went. */
static void echo_erased(struct discipline *discipline, uint32_t count, enum erase what)
{
    uint8_t byte = discipline->bytes[discipline->head & DISCIPLINE_MASK];
    if (has_local_flag(discipline, ECHOPRT)) {
        if (!discipline->is_erasing) {
            echo_raw(discipline, '\\');
            discipline->is_erasing = true;
        }
        echo(discipline, byte);
        for (uint32_t i = 1; i < count; i++) {
            echo_raw(discipline, discipline->bytes[(discipline->head + i) & DISCIPLINE_MASK]);
            discipline->column -= discipline->column != 0 ? 1 : 0; /* so counts Linux */
        }
    } else if (what == ERASE_CHARACTER && !has_local_flag(discipline, ECHOE)) {
        echo(discipline, discipline->termios.characters[VERASE]);
    } else if (byte == '\t') {
        echo_tab_erased(discipline);
    } else {
        bool is_caret = is_control(byte) && has_local_flag(discipline, ECHOCTL);
        for (uint32_t i = is_caret ? 2 : is_control(byte) ? 0 : 1; i > 0; i--) {
            echo_rubout(discipline);
        }
    }
}

/* Where the last character of the line begins. */
static uint32_t last_character(const struct discipline *discipline)
{
    uint32_t at = discipline->head - 1;
    while (at != discipline->line &&
           is_continuation(discipline, discipline->bytes[at & DISCIPLINE_MASK])) {
        at--;
    }
    return at;
}

static void kill_at_once(struct discipline *discipline)
{
    discipline->head = discipline->line;
    if (has_local_flag(discipline, ECHO)) {
        echo_end_of_erasing(discipline);
        echo(discipline, discipline->termios.characters[VKILL]);
        if (has_local_flag(discipline, ECHOK)) {
            echo_raw(discipline, '\n');
        }
    }
}

/* @impl ATL-LLR-FILE-0061~1 */
static void erase(struct discipline *discipline, enum erase what)
{
    const uint32_t by_character = ECHO | ECHOK | ECHOKE | ECHOE;
    if (discipline->head == discipline->line) {
        return;
    }
    if (what == ERASE_LINE && (discipline->termios.local & by_character) != by_character) {
        kill_at_once(discipline);
        return;
    }
    bool has_word = false;
    bool goes_on = true;
    while (goes_on && discipline->head != discipline->line) {
        uint32_t at = last_character(discipline);
        uint8_t byte = discipline->bytes[at & DISCIPLINE_MASK];
        if (is_continuation(discipline, byte) ||
            (what == ERASE_WORD && has_word && !is_word(byte))) {
            break; /* not a part of a character, nor more than a word */
        }
        has_word = has_word || is_word(byte);
        uint32_t count = discipline->head - at;
        discipline->head = at;
        if (has_local_flag(discipline, ECHO)) {
            echo_erased(discipline, count, what);
        }
        goes_on = what != ERASE_CHARACTER;
    }
    if (discipline->head == discipline->line) {
        echo_end_of_erasing(discipline);
    }
}

/* ---- input */

static void put(struct discipline *discipline, uint8_t byte, enum discipline_mark mark)
{
    if (used(discipline) == DISCIPLINE_BYTES) {
        discipline->head--; /* a line too long: its last place is taken again, so it can end */
    }
    discipline->bytes[discipline->head & DISCIPLINE_MASK] = byte;
    discipline->marks[discipline->head & DISCIPLINE_MASK] = (uint8_t)mark;
    discipline->head++;
}

static void put_line_end(struct discipline *discipline, uint8_t byte, enum discipline_mark mark)
{
    put(discipline, byte, mark);
    discipline->line = discipline->head;
}

/* A newline that was typed as such is shown as ^J; what a carriage return became, as a new line. */
static void put_shown(struct discipline *discipline, uint8_t byte, bool is_new_line)
{
    if (has_local_flag(discipline, ECHO)) {
        echo_end_of_erasing(discipline);
        if (is_new_line) {
            echo_raw(discipline, '\n');
        } else {
            if (discipline->head == discipline->line) {
                discipline->line_column = discipline->column;
            }
            echo(discipline, byte);
        }
    }
    put(discipline, byte, DISCIPLINE_PLAIN);
}

static void reprint(struct discipline *discipline)
{
    echo_end_of_erasing(discipline);
    echo(discipline, discipline->termios.characters[VREPRINT]);
    echo_raw(discipline, '\n');
    for (uint32_t at = discipline->line; at != discipline->head; at++) {
        echo(discipline, discipline->bytes[at & DISCIPLINE_MASK]);
    }
}

void discipline_flush(struct discipline *discipline)
{
    discipline->head = 0;
    discipline->line = 0;
    discipline->tail = 0;
    discipline->is_next_literal = false;
    discipline->is_erasing = false;
}

/* The signal that a byte is; 0: none. */
static int signal_of(const struct discipline *discipline, uint8_t byte)
{
    if (!has_local_flag(discipline, ISIG)) {
        return 0;
    }
    return is_character(discipline, VINTR, byte)   ? SIGINT
           : is_character(discipline, VQUIT, byte) ? SIGQUIT
           : is_character(discipline, VSUSP, byte) ? SIGTSTP
                                                   : 0;
}

/* @impl ATL-LLR-FILE-0062~1 */
static void take_signal(struct discipline *discipline, uint8_t byte, int signal)
{
    if (!has_local_flag(discipline, NOFLSH)) {
        discipline_flush(discipline);
        discipline->echo_count = 0;
    }
    discipline->signals |= posix_signal_bit(signal);
    if (has_input_flag(discipline, IXON)) {
        discipline->is_stopped = false;
    }
    if (has_local_flag(discipline, ECHO)) {
        echo(discipline, byte);
    }
}

/* True: the byte edits the line. */
static bool edit(struct discipline *discipline, uint8_t byte)
{
    bool is_extended = has_local_flag(discipline, IEXTEN);
    if (is_character(discipline, VERASE, byte)) {
        erase(discipline, ERASE_CHARACTER);
    } else if (is_character(discipline, VKILL, byte)) {
        erase(discipline, ERASE_LINE);
    } else if (is_extended && is_character(discipline, VWERASE, byte)) {
        erase(discipline, ERASE_WORD);
    } else if (is_extended && is_character(discipline, VLNEXT, byte)) {
        discipline->is_next_literal = true;
        if (has_local_flag(discipline, ECHO)) {
            echo_end_of_erasing(discipline);
            if (has_local_flag(discipline, ECHOCTL)) {
                echo_raw(discipline, '^');
                echo_raw(discipline, '\b');
            }
        }
    } else if (is_extended && has_local_flag(discipline, ECHO) &&
               is_character(discipline, VREPRINT, byte)) {
        reprint(discipline);
    } else {
        return false;
    }
    return true;
}

/* True: the byte ended the line. */
static bool end_line(struct discipline *discipline, uint8_t byte)
{
    if (byte == '\n') {
        if (has_local_flag(discipline, ECHO) || has_local_flag(discipline, ECHONL)) {
            echo_raw(discipline, '\n');
        }
        put_line_end(discipline, byte, DISCIPLINE_LINE_END);
    } else if (is_character(discipline, VEOF, byte)) {
        put_line_end(discipline, 0, DISCIPLINE_LINE_CUT);
    } else if (is_character(discipline, VEOL, byte) ||
               (has_local_flag(discipline, IEXTEN) && is_character(discipline, VEOL2, byte))) {
        if (has_local_flag(discipline, ECHO)) {
            if (discipline->head == discipline->line) {
                discipline->line_column = discipline->column;
            }
            echo(discipline, byte);
        }
        put_line_end(discipline, byte, DISCIPLINE_LINE_END);
    } else {
        return false;
    }
    return true;
}

/* Translates carriage returns and newlines; false: the byte is dropped. */
static bool translate(const struct discipline *discipline, uint8_t *byte)
{
    if (*byte == '\r') {
        if (has_input_flag(discipline, IGNCR)) {
            return false;
        }
        *byte = has_input_flag(discipline, ICRNL) ? '\n' : '\r';
    } else if (*byte == '\n' && has_input_flag(discipline, INLCR)) {
        *byte = '\r';
    }
    return true;
}

/* @impl ATL-LLR-FILE-0060~1 */
void discipline_take(struct discipline *discipline, uint8_t byte)
{
    byte &= has_input_flag(discipline, ISTRIP) ? 0x7f : 0xff;
    if (has_input_flag(discipline, IUCLC) && has_local_flag(discipline, IEXTEN) && is_upper(byte)) {
        byte += CASE_BIT;
    }
    if (discipline->is_next_literal) {
        discipline->is_next_literal = false;
        put_shown(discipline, byte, false);
        return;
    }
    if (has_input_flag(discipline, IXON)) {
        if (is_character(discipline, VSTART, byte) || is_character(discipline, VSTOP, byte)) {
            discipline->is_stopped = !is_character(discipline, VSTART, byte);
            return;
        }
    }
    int signal = signal_of(discipline, byte);
    if (signal != 0) {
        take_signal(discipline, byte, signal);
        return;
    }
    if (has_input_flag(discipline, IXON) && has_input_flag(discipline, IXANY)) {
        discipline->is_stopped = false;
    }
    uint8_t typed = byte;
    if (!translate(discipline, &byte)) {
        return;
    }
    bool is_canonical = has_local_flag(discipline, ICANON);
    if (!is_canonical || (!edit(discipline, byte) && !end_line(discipline, byte))) {
        put_shown(discipline, byte, byte == '\n' && typed == '\r');
    }
}

bool discipline_has_room(const struct discipline *discipline)
{
    bool has_line = discipline->line != discipline->tail;
    return used(discipline) < DISCIPLINE_BYTES - 1 ||
           (has_local_flag(discipline, ICANON) && !has_line);
}

void discipline_end(struct discipline *discipline)
{
    discipline->line = discipline->head;
}

/* ---- reading */

bool discipline_is_ready(const struct discipline *discipline, uint32_t bytes)
{
    return has_local_flag(discipline, ICANON) ? discipline->line != discipline->tail
                                              : used(discipline) >= bytes;
}

/* One line, or as much of it as there is room for. What ends it unseen goes with its last byte. */
static size_t read_line(struct discipline *discipline, uint8_t *to, size_t bytes, bool *is_over)
{
    size_t count = 0;
    *is_over = true;
    while (discipline->tail != discipline->line) {
        uint8_t mark = discipline->marks[discipline->tail & DISCIPLINE_MASK];
        if (mark == DISCIPLINE_LINE_CUT) {
            discipline->tail++;
            break;
        }
        if (count == bytes) {
            *is_over = false;
            break;
        }
        to[count++] = discipline->bytes[discipline->tail++ & DISCIPLINE_MASK];
        if (mark == DISCIPLINE_LINE_END) {
            break;
        }
    }
    return count;
}

/* @impl ATL-LLR-FILE-0060~1 */
size_t discipline_read(struct discipline *discipline, uint8_t *to, size_t bytes, bool *is_over)
{
    if (has_local_flag(discipline, ICANON)) {
        return read_line(discipline, to, bytes, is_over);
    }
    size_t count = used(discipline) < bytes ? used(discipline) : bytes;
    for (size_t i = 0; i < count; i++) {
        to[i] = discipline->bytes[discipline->tail++ & DISCIPLINE_MASK];
    }
    discipline->line = discipline->tail;
    *is_over = false;
    return count;
}

uint32_t discipline_count(const struct discipline *discipline)
{
    if (!has_local_flag(discipline, ICANON)) {
        return used(discipline);
    }
    uint32_t count = 0;
    for (uint32_t at = discipline->tail; at != discipline->line; at++) {
        count += discipline->marks[at & DISCIPLINE_MASK] != DISCIPLINE_LINE_CUT ? 1 : 0;
    }
    return count;
}

/* ---- settings */

void discipline_initialize(struct discipline *discipline)
{
    __builtin_memset(discipline, 0, sizeof(*discipline));
    discipline->termios = (struct linux_termios){
        .input = ICRNL | IXON,
        .output = OPOST | ONLCR,
        .control = CONTROL_38400_8BITS,
        .local = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .characters = {[VINTR] = 3,
                       [VQUIT] = 28,
                       [VERASE] = DELETE,
                       [VKILL] = 21,
                       [VEOF] = 4,
                       [VMIN] = 1,
                       [VSTART] = 17,
                       [VSTOP] = 19,
                       [VSUSP] = 26,
                       [VREPRINT] = 18,
                       [VDISCARD] = 15, /* which nothing obeys */
                       [VWERASE] = 23,
                       [VLNEXT] = 22},
    };
}

/* @impl ATL-LLR-FILE-0060~1 */
void discipline_set(struct discipline *discipline, const struct linux_termios *termios)
{
    uint32_t changed = discipline->termios.local ^ termios->local;
    bool was_ixon = has_input_flag(discipline, IXON);
    discipline->termios = *termios;
    if (discipline_has(changed, ICANON)) {
        /* To lines: what is there is one. To bytes: the ends of lines mean nothing any more. */
        bool is_line = has_local_flag(discipline, ICANON) && used(discipline) != 0;
        for (uint32_t at = discipline->tail; at != discipline->head; at++) {
            discipline->marks[at & DISCIPLINE_MASK] = DISCIPLINE_PLAIN;
        }
        if (is_line) {
            discipline->marks[(discipline->head - 1) & DISCIPLINE_MASK] = DISCIPLINE_LINE_END;
        }
        discipline->line = is_line ? discipline->head : discipline->tail;
        discipline->is_next_literal = false;
        discipline->is_erasing = false;
    }
    if (was_ixon && !has_input_flag(discipline, IXON)) {
        discipline->is_stopped = false;
    }
}
