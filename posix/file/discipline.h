/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal's line discipline, as Linux's N_TTY: what typed bytes become for the reader and on the
 * screen, and what written bytes become. Pure: no locks, no calls; the caller has one lock over it,
 * shows the echo and sends the signals. */
#ifndef POSIX_FILE_DISCIPLINE_H
#define POSIX_FILE_DISCIPLINE_H

#include "abi.h"
#include <stdbool.h>
#include <stddef.h>

#define DISCIPLINE_BYTES 4096u /* of input that nobody has read, a power of two */
#define DISCIPLINE_ECHO_BYTES 4096u
#define DISCIPLINE_EXPANSION 8u /* bytes that one written byte becomes at most: a tab */

enum discipline_mark {
    DISCIPLINE_PLAIN,
    DISCIPLINE_LINE_END, /* a read ends behind this byte */
    DISCIPLINE_LINE_CUT, /* a read ends before this byte, which nobody sees: VEOF */
};

struct discipline {
    struct linux_termios termios;
    uint32_t head, line, tail;    /* typed, ready to be read as lines, read; they run freely */
    uint32_t column, line_column; /* of the cursor; where the line that is typed began */
    bool is_stopped;              /* no output: VSTOP or tcflow */
    bool is_next_literal;         /* behind VLNEXT */
    bool is_erasing;              /* between the \ and the / of ECHOPRT */
    uint64_t signals;             /* bit n - 1: signal n is to be sent; the caller clears it */
    uint32_t echo_count; /* the caller shows it and sets 0; what has no room is not shown */
    uint8_t echo[DISCIPLINE_ECHO_BYTES];
    uint8_t bytes[DISCIPLINE_BYTES];
    uint8_t marks[DISCIPLINE_BYTES]; /* enum discipline_mark */
};

/* As after login. */
void discipline_initialize(struct discipline *discipline);
/* Whether the next byte can be taken: else somebody has to read first. */
bool discipline_has_room(const struct discipline *discipline);
/* Takes a typed byte. The discipline has room. */
void discipline_take(struct discipline *discipline, uint8_t byte);
/* No more will be typed: what there is of a line can be read. */
void discipline_end(struct discipline *discipline);
/* What a read would find: at least bytes of input, or a line. */
bool discipline_is_ready(const struct discipline *discipline, uint32_t bytes);
/* Takes up to bytes of input, in canonical mode of one line; *is_over: the end of a line was
 * reached. */
size_t discipline_read(struct discipline *discipline, uint8_t *to, size_t bytes, bool *is_over);
/* What FIONREAD tells. */
uint32_t discipline_count(const struct discipline *discipline);
/* Forgets the input that nobody has read. */
void discipline_flush(struct discipline *discipline);
/* Changes the settings; input that is there can be read by the new mode. */
void discipline_set(struct discipline *discipline, const struct linux_termios *termios);
/* What written bytes become; at most DISCIPLINE_EXPANSION each. Returns how many. */
size_t discipline_output(struct discipline *discipline, const uint8_t *from, size_t bytes,
                         uint8_t *to);

static inline bool discipline_has(uint32_t flags, uint32_t flag)
{
    return (flags & flag) != 0;
}

#endif
