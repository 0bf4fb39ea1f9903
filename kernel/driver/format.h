/* SPDX-License-Identifier: Apache-2.0 */
/* Text from a format and values. Pure. */
#ifndef KERNEL_DRIVER_FORMAT_H
#define KERNEL_DRIVER_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes the text without a NUL; what does not fit is left out. Returns how many bytes it wrote.
 * @format knows %s %u %x %lu %lx %%: all that the kernel's lines need. NULL prints "(null)"; a
 *         conversion that is not one of these prints its letter and takes no value. */
size_t format_text(char *bytes, size_t bytes_max, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
