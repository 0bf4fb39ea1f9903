/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline's output: written bytes and echo. See discipline.h. */
#include "discipline_parts.h"

#define CONTROL_BIT 0x40u /* ^A is A with this bit turned */
#define TAB_COLUMNS 8u

static size_t put_newline(struct discipline *discipline, uint8_t *to)
{
    size_t count = 0;
    if (has_output_flag(discipline, ONLCR)) {
        to[count++] = '\r';
    }
    if (count != 0 || has_output_flag(discipline, ONLRET)) {
        discipline->column = 0;
    }
    discipline->line_column = discipline->column;
    to[count++] = '\n';
    return count;
}

static size_t put_return(struct discipline *discipline, uint8_t *to)
{
    if (has_output_flag(discipline, ONOCR) && discipline->column == 0) {
        return 0;
    }
    bool to_newline = has_output_flag(discipline, OCRNL);
    if (!to_newline || has_output_flag(discipline, ONLRET)) {
        discipline->column = 0;
        discipline->line_column = 0;
    }
    *to = to_newline ? '\n' : '\r';
    return 1;
}

static size_t put_tab(struct discipline *discipline, uint8_t *to)
{
    size_t spaces = TAB_COLUMNS - discipline->column % TAB_COLUMNS;
    discipline->column += (uint32_t)spaces;
    if ((discipline->termios.output & XTABS) == XTABS) {
        __builtin_memset(to, ' ', spaces);
        return spaces;
    }
    *to = '\t';
    return 1;
}

static size_t put_processed(struct discipline *discipline, uint8_t byte, uint8_t *to)
{
    switch (byte) {
    case '\n':
        return put_newline(discipline, to);
    case '\r':
        return put_return(discipline, to);
    case '\t':
        return put_tab(discipline, to);
    case '\b':
        discipline->column -= discipline->column != 0 ? 1 : 0;
        break;
    default:
        if (has_output_flag(discipline, OLCUC) && is_lower(byte)) {
            byte -= CASE_BIT;
        }
        if (!is_control(byte) && !is_continuation(discipline, byte)) {
            discipline->column++;
        }
        break;
    }
    *to = byte;
    return 1;
}

/* @impl ATL-LLR-FILE-0063~1 */
size_t discipline_output(struct discipline *discipline, const uint8_t *from, size_t bytes,
                         uint8_t *to)
{
    if (!has_output_flag(discipline, OPOST)) {
        __builtin_memcpy(to, from, bytes);
        return bytes;
    }
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        count += put_processed(discipline, from[i], to + count);
    }
    return count;
}

/* ---- echo */

void echo_raw(struct discipline *discipline, uint8_t byte)
{
    if (DISCIPLINE_ECHO_BYTES - discipline->echo_count >= DISCIPLINE_EXPANSION) {
        discipline->echo_count += (uint32_t)discipline_output(
            discipline, &byte, 1, discipline->echo + discipline->echo_count);
    }
}

void echo(struct discipline *discipline, uint8_t byte)
{
    if (has_local_flag(discipline, ECHOCTL) && is_control(byte) && byte != '\t') {
        echo_raw(discipline, '^');
        echo_raw(discipline, byte ^ CONTROL_BIT);
    } else {
        echo_raw(discipline, byte);
    }
}

void echo_end_of_erasing(struct discipline *discipline)
{
    if (discipline->is_erasing) {
        echo_raw(discipline, '/');
        discipline->is_erasing = false;
    }
}

void echo_rubout(struct discipline *discipline)
{
    echo_raw(discipline, '\b');
    echo_raw(discipline, ' ');
    echo_raw(discipline, '\b');
}

void echo_tab_erased(struct discipline *discipline)
{
    uint32_t columns = 0;
    bool is_behind_tab = false;
    for (uint32_t at = discipline->head; at != discipline->line && !is_behind_tab;) {
        uint8_t byte = discipline->bytes[--at & DISCIPLINE_MASK];
        if (byte == '\t') {
            is_behind_tab = true;
        } else if (is_control(byte)) {
            columns += has_local_flag(discipline, ECHOCTL) ? 2 : 0;
        } else if (!is_continuation(discipline, byte)) {
            columns++;
        }
    }
    columns += is_behind_tab ? 0 : discipline->line_column;
    for (uint32_t i = TAB_COLUMNS - columns % TAB_COLUMNS; i > 0; i--) {
        echo_raw(discipline, '\b');
    }
}
