/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own lines. */
#include "format.h"

#include <driver/console.h>

#define LINE_BYTES_MAX 256u

void console_log_arguments(enum console_stream level, const char *format, va_list arguments)
{
    if (level != CONSOLE_LOG || console_wants_log()) {
        char line[LINE_BYTES_MAX];
        console_write_blocking(level, line, format_text(line, sizeof(line), format, arguments));
    }
}

void console_log(enum console_stream level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    console_log_arguments(level, format, arguments);
    va_end(arguments);
}
