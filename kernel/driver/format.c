/* SPDX-License-Identifier: Apache-2.0 */
#include "format.h"

#include <percpu/base.h>

#define DIGITS_MAX 20u /* of 2^64 in decimal */

/* One conversion as its letters say. */
struct conversion {
    uint32_t width;
    bool is_left, is_zero_filled, is_long;
    char letter;
};

struct piece {
    const char *text;
    size_t bytes;
    const char *prefix; /* before zero filling: sign or 0x */
};

static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

static void put_text(struct format_sink *sink, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        sink->put(sink, text[i]);
    }
}

static void put_fill(struct format_sink *sink, char fill, size_t used, size_t width)
{
    for (size_t i = used; i < width; i++) {
        sink->put(sink, fill);
    }
}

static void put_piece(struct format_sink *sink, const struct conversion *c,
                      const struct piece *piece)
{
    size_t prefix_bytes = length_of(piece->prefix);
    size_t used = prefix_bytes + piece->bytes;
    if (!c->is_left && !c->is_zero_filled) {
        put_fill(sink, ' ', used, c->width);
    }
    put_text(sink, piece->prefix, prefix_bytes);
    if (!c->is_left && c->is_zero_filled) {
        put_fill(sink, '0', used, c->width);
    }
    put_text(sink, piece->text, piece->bytes);
    if (c->is_left) {
        put_fill(sink, ' ', used, c->width);
    }
}

static void put_number(struct format_sink *sink, const struct conversion *c, uint64_t value,
                       uint32_t base, const char *prefix)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_piece(sink, c, &(struct piece){digits + at, sizeof(digits) - at, prefix});
}

static const char *parse(const char *format, struct conversion *c)
{
    *c = (struct conversion){0};
    for (; *format == '-' || *format == '0'; format++) {
        c->is_left = c->is_left || *format == '-';
        c->is_zero_filled = c->is_zero_filled || *format == '0';
    }
    for (; *format >= '0' && *format <= '9'; format++) {
        c->width = MIN(c->width * 10 + (uint32_t)(*format - '0'), FORMAT_WIDTH_MAX);
    }
    for (; *format == 'l' || *format == 'z'; format++) {
        c->is_long = true;
    }
    c->letter = *format;
    return *format == '\0' ? format : format + 1;
}

static void put_string(struct format_sink *sink, const struct conversion *c, const char *text)
{
    struct conversion plain = *c;
    plain.is_zero_filled = false;
    text = text != NULL ? text : "(null)";
    put_piece(sink, &plain, &(struct piece){text, length_of(text), ""});
}

static void put_signed(struct format_sink *sink, const struct conversion *c, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_number(sink, c, magnitude, 10, value < 0 ? "-" : "");
}

/* @impl ATL-LLR-BOOT-0023~1 */
void format_text(struct format_sink *sink, const char *format, va_list arguments)
{
    va_list values;
    va_copy(values, arguments);
    struct conversion c;
    while (*format != '\0') {
        if (*format != '%') {
            sink->put(sink, *format++);
            continue;
        }
        const char *start = format;
        format = parse(format + 1, &c);
        char character;
        switch (c.letter) {
        case 's':
            put_string(sink, &c, va_arg(values, const char *));
            break;
        case 'c':
            character = (char)va_arg(values, int);
            put_piece(sink, &c, &(struct piece){&character, 1, ""});
            break;
        case 'd':
        case 'i':
            put_signed(sink, &c, c.is_long ? va_arg(values, int64_t) : va_arg(values, int32_t));
            break;
        case 'u':
            put_number(sink, &c, c.is_long ? va_arg(values, uint64_t) : va_arg(values, uint32_t),
                       10, "");
            break;
        case 'x':
            put_number(sink, &c, c.is_long ? va_arg(values, uint64_t) : va_arg(values, uint32_t),
                       16, "");
            break;
        case 'p':
            put_number(sink, &c, (uint64_t)va_arg(values, const void *), 16, "0x");
            break;
        case '%':
            sink->put(sink, '%');
            break;
        default:
            put_text(sink, start, (size_t)(format - start));
            break;
        }
    }
    va_end(values);
}
