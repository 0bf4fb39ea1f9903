/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own lines: text in frames of at most a line's length. */
#include "format.h"

#include <driver/console.h>
#include <kernel/image.h>

#define LINE_BYTES 160u

struct line {
    struct format_sink sink; /* first: the sink is the line */
    enum console_level level;
    uint32_t used;
    char bytes[LINE_BYTES];
};

static void flush(struct line *line)
{
    if (line->used > 0) {
        console_write_blocking(line->level, line->bytes, line->used);
        line->used = 0;
    }
}

static void put(struct format_sink *sink, char character)
{
    struct line *line = (struct line *)sink;
    if (line->used == sizeof(line->bytes)) {
        flush(line);
    }
    line->bytes[line->used++] = character;
}

void console_log_arguments(enum console_level level, const char *format, va_list arguments)
{
    if (level == CONSOLE_LOG && !console_wants_log()) {
        return;
    }
    struct line line = {.sink = {put}, .level = level};
    format_text(&line.sink, format, arguments);
    flush(&line);
}

void console_log(enum console_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_log_arguments(level, format, arguments);
    va_end(arguments);
}
