/* SPDX-License-Identifier: Apache-2.0 */
#include "format.h"

#include <percpu/base.h>

#define DIGITS_MAX 20u /* of 2^64 in decimal */

struct text {
    char *bytes;
    size_t used, bytes_max;
};

static void put(struct text *text, char character)
{
    if (text->used < text->bytes_max) {
        text->bytes[text->used++] = character;
    }
}

static void put_string(struct text *text, const char *string)
{
    for (string = string != NULL ? string : "(null)"; *string != '\0'; string++) {
        put(text, *string);
    }
}

static void put_number(struct text *text, uint64_t value, uint32_t base)
{
    char digits[DIGITS_MAX];
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        put(text, digits[--count]);
    }
}

/* @impl ATL-LLR-BOOT-0023~1 */
size_t format_text(char *bytes, size_t bytes_max, const char *format, va_list arguments)
{
    struct text text = {bytes, 0, bytes_max};
    while (*format != '\0') {
        char character = *format++;
        if (character != '%' || *format == '\0') {
            put(&text, character);
            continue;
        }
        bool is_long = format[0] == 'l' && format[1] != '\0';
        format += is_long;
        character = *format++;
        if (character == 's') {
            put_string(&text, va_arg(arguments, const char *));
        } else if (character == 'u' || character == 'x') {
            put_number(&text, is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, uint32_t),
                       character == 'u' ? 10 : 16);
        } else {
            put(&text, character);
        }
    }
    return text.used;
}
