/* SPDX-License-Identifier: Apache-2.0 */
/* Text from a format and values. Pure; no buffer of its own. */
#ifndef KERNEL_DRIVER_FORMAT_H
#define KERNEL_DRIVER_FORMAT_H

#include <stdarg.h>

/* Where the characters go. */
struct format_sink {
    void (*put)(struct format_sink *sink, char character);
};

/* %s %c %d %i %u %x %p %%; l, ll and z; a width of at most FORMAT_WIDTH_MAX; flags 0 and -. NULL
 * strings print "(null)". An unknown conversion is printed as it stands. */
void format_text(struct format_sink *sink, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#define FORMAT_WIDTH_MAX 64u

#endif
