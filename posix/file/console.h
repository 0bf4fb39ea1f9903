/* SPDX-License-Identifier: Apache-2.0 */
/* The standard streams. */
#ifndef POSIX_FILE_CONSOLE_H
#define POSIX_FILE_CONSOLE_H

#include <posix/file.h>

extern const struct posix_file_operations console_operations;
/* A node for stream 0, 1 or 2 as a pipe; NULL: no memory. */
struct posix_node *console_node(uint64_t stream);

/* Writes bytes from one buffer, the application's or posix/'s, to the standard error (stream 2) or
 * output: all of them unless an error comes. Returns how many, or the error if none. */
int64_t console_put(uint64_t stream, uint64_t buffer, uint64_t bytes);

/* ---- the watches of console files (console_watch.c) */
/* From now on the file's watches are told by console_tell. False: no memory. */
bool console_remember(struct posix_file *file);
void console_tell(uint32_t events);
/* From now on the watches of a pipe's file hear of input. False: no memory. */
bool console_watch(struct posix_file *file);
void console_forget(const struct posix_file *file);
/* Input that comes, or is left, from now on is news. */
void console_arm(void);
/* Waits until there may be input. 0, -ERESTARTSYS, or -EAGAIN: no memory. */
int64_t console_await_input(void);

#endif
