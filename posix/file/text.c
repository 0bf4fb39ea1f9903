/* SPDX-License-Identifier: Apache-2.0 */
/* Building the text of synthetic files. A failed allocation is remembered, not reported at each
 * step. */
#include "node.h"

#define START_BYTES 1024u

static bool make_room(struct text *text, size_t count)
{
    if (text->is_full) {
        return false;
    }
    if (text->capacity - text->used >= count) {
        return true;
    }
    size_t capacity = text->capacity != 0 ? text->capacity : START_BYTES;
    while (capacity - text->used < count) {
        capacity *= 2;
    }
    char *larger = posix_allocate(capacity);
    if (larger == NULL) {
        text->is_full = true;
        return false;
    }
    if (text->used != 0) {
        __builtin_memcpy(larger, text->bytes, text->used);
    }
    posix_free(text->bytes);
    text->bytes = larger;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *bytes, size_t count)
{
    if (make_room(text, count)) {
        __builtin_memcpy(text->bytes + text->used, bytes, count);
        text->used += count;
    }
}

void text_string(struct text *text, const char *string)
{
    text_append(text, string, __builtin_strlen(string));
}

void text_number_padded(struct text *text, uint64_t value, uint32_t width)
{
    char digits[32];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (sizeof(digits) - at < width && at != 0) {
        digits[--at] = ' ';
    }
    text_append(text, digits + at, sizeof(digits) - at);
}

void text_number(struct text *text, uint64_t value)
{
    text_number_padded(text, value, 0);
}

void text_hexadecimal(struct text *text, uint64_t value, uint32_t digits)
{
    char buffer[16];
    size_t at = sizeof(buffer);
    do {
        buffer[--at] = "0123456789abcdef"[value % 16];
        value /= 16;
    } while (at != 0 && (value != 0 || sizeof(buffer) - at < digits));
    text_append(text, buffer + at, sizeof(buffer) - at);
}

void text_octal(struct text *text, uint64_t value, uint32_t digits)
{
    char buffer[22];
    size_t at = sizeof(buffer);
    do {
        buffer[--at] = (char)('0' + value % 8);
        value /= 8;
    } while (at != 0 && (value != 0 || sizeof(buffer) - at < digits));
    text_append(text, buffer + at, sizeof(buffer) - at);
}
