/* SPDX-License-Identifier: Apache-2.0 */
/* Text for humans on the console's error stream: a printf that knows %s %c %d %u %x %lx … and field
 * widths with zeros, into a line on the stack. */
#include "internal.h"

#include <posix/file.h>
#include <stdarg.h>

#define LINE_BYTES_MAX 256u
#define NEWLINE_BYTES 2u
#define STREAM_ERROR 2u
#define NUMBER_BYTES_MAX 24u

struct line {
    char text[LINE_BYTES_MAX];
    uint32_t bytes;
};

static void put(struct line *line, char character)
{
    if (character == '\n' && posix_terminal_has_stream(STREAM_ERROR)) {
        put(line, '\r');
    }
    if (line->bytes < LINE_BYTES_MAX) {
        line->text[line->bytes++] = character;
    }
}

struct number_format {
    uint32_t base, width;
    bool is_zero_filled, is_negative;
};

static void put_number(struct line *line, uint64_t value, struct number_format format)
{
    char digits[NUMBER_BYTES_MAX];
    uint32_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % format.base];
        value /= format.base;
    } while (value != 0);
    if (format.is_negative) {
        digits[count++] = '-';
    }
    for (uint32_t i = count; i < format.width; i++) {
        put(line, format.is_zero_filled ? '0' : ' ');
    }
    while (count > 0) {
        put(line, digits[--count]);
    }
}

static void put_string(struct line *line, const char *string, uint32_t width)
{
    uint32_t count = 0;
    for (const char *c = string != NULL ? string : "(null)"; *c != '\0'; c++) {
        put(line, *c);
        count++;
    }
    for (; count < width; count++) {
        put(line, ' ');
    }
}

/* One conversion behind its percent sign; returns what follows it. */
static const char *convert(struct line *line, const char *at, va_list *arguments)
{
    struct number_format format = {.base = 10};
    bool is_long = false;
    if (*at == '-') {
        at++;
    }
    if (*at == '0') {
        format.is_zero_filled = true;
        at++;
    }
    while (*at >= '0' && *at <= '9') {
        format.width = format.width * 10 + (uint32_t)(*at++ - '0');
    }
    while (*at == 'l' || *at == 'z') {
        is_long = true;
        at++;
    }
    switch (*at) {
    case 'd': {
        int64_t value = is_long ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
        format.is_negative = value < 0;
        put_number(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, format);
        break;
    }
    case 'x':
    case 'u': {
        uint64_t value = is_long ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned);
        format.base = *at == 'x' ? 16 : 10;
        put_number(line, value, format);
        break;
    }
    case 's':
        put_string(line, va_arg(*arguments, const char *), format.width);
        break;
    case 'c':
        put(line, (char)va_arg(*arguments, int));
        break;
    default:
        put(line, *at);
        break;
    }
    return *at != '\0' ? at + 1 : at;
}

static void format_line(struct line *line, const char *format, va_list *arguments)
{
    while (*format != '\0') {
        if (*format == '%') {
            format = convert(line, format + 1, arguments);
        } else {
            put(line, *format++);
        }
    }
}

/* The console takes what it has room for; a failure ends the attempt, there is nobody to tell. */
static void write_line(const struct line *line)
{
    uint32_t done = 0;
    while (done < line->bytes) {
        int64_t taken = posix_console(GATE_CONSOLE_WRITE, STREAM_ERROR,
                                      (uint64_t)(uintptr_t)&line->text[done], line->bytes - done);
        if (taken <= 0) {
            return;
        }
        done += (uint32_t)taken;
    }
}

void posix_print(const char *format, ...)
{
    struct line line = {.bytes = 0};
    va_list arguments;
    va_start(arguments, format);
    format_line(&line, format, &arguments);
    va_end(arguments);
    write_line(&line);
}

void posix_report(const char *format, ...)
{
    struct line line = {.bytes = 0};
    put_string(&line, "posix: ", 0);
    va_list arguments;
    va_start(arguments, format);
    format_line(&line, format, &arguments);
    va_end(arguments);
    if (line.bytes > LINE_BYTES_MAX - NEWLINE_BYTES) {
        line.bytes = LINE_BYTES_MAX - NEWLINE_BYTES;
    }
    if (line.text[line.bytes - 1] != '\n') {
        put(&line, '\n');
    }
    write_line(&line);
}

noreturn void posix_panic(const char *reason)
{
    posix_report("internal error: %s", reason);
    gate_exit(0, SIGABRT);
}
