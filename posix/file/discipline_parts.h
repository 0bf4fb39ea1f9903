/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the line discipline share. */
#ifndef POSIX_FILE_DISCIPLINE_PARTS_H
#define POSIX_FILE_DISCIPLINE_PARTS_H

#include "discipline.h"

#define DISCIPLINE_MASK (DISCIPLINE_BYTES - 1)
#define DELETE 0x7fu
#define CASE_BIT 0x20u /* between a letter and its capital */

static inline bool has_input_flag(const struct discipline *discipline, uint32_t flag)
{
    return discipline_has(discipline->termios.input, flag);
}

static inline bool has_output_flag(const struct discipline *discipline, uint32_t flag)
{
    return discipline_has(discipline->termios.output, flag);
}

static inline bool has_local_flag(const struct discipline *discipline, uint32_t flag)
{
    return discipline_has(discipline->termios.local, flag);
}

/* A character that is 0 is switched off. */
static inline bool is_character(const struct discipline *discipline, uint32_t which, uint8_t byte)
{
    return byte != 0 && discipline->termios.characters[which] == byte;
}

/* Letters of Latin-1, which Linux takes bytes for. */
static inline bool is_upper(uint8_t byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 0xc0 && byte <= 0xde && byte != 0xd7);
}

static inline bool is_lower(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 0xdf && byte != 0xf7);
}

static inline bool is_control(uint8_t byte)
{
    return byte < ' ' || byte == DELETE;
}

/* A byte of a character that began before it. */
static inline bool is_continuation(const struct discipline *discipline, uint8_t byte)
{
    return has_input_flag(discipline, IUTF8) && (byte & 0xc0) == 0x80;
}

/* ---- echo (discipline_show.c) */

/* As a written byte. */
void echo_raw(struct discipline *discipline, uint8_t byte);
/* As it is shown: ^X for a control character. */
void echo(struct discipline *discipline, uint8_t byte);
/* The / of ECHOPRT, if it is due. */
void echo_end_of_erasing(struct discipline *discipline);
/* Three bytes that take the last column away. */
void echo_rubout(struct discipline *discipline);
/* Moves back over a tab that is gone: as far as it went from what stands before it in the line. */
void echo_tab_erased(struct discipline *discipline);

#endif
