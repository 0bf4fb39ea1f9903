/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal on the console: the standard streams that the tool has a terminal for, /dev/console
 * and /dev/tty. */
#ifndef POSIX_FILE_TERMINAL_H
#define POSIX_FILE_TERMINAL_H

#include <posix/file.h>

/* The context of an open file is the stream that it writes to. */
extern const struct posix_file_operations terminal_operations;

/* Learns from the image which streams are terminals. -EIO: the image is damaged. */
int64_t terminal_initialize(void);
bool terminal_exists(void);
/* The stream that shows what is written to /dev/tty: 1 unless only the error stream is a terminal.
 */
uint64_t terminal_screen(void);
/* Takes a piece of input: echo, signals, readers. False: there is none, or nobody reads it. By the
 * terminal's own thread alone. */
bool terminal_receive(void);

#endif
