/* SPDX-License-Identifier: Apache-2.0 */
/* The standard streams. */
#ifndef POSIX_FILE_CONSOLE_H
#define POSIX_FILE_CONSOLE_H

#include <posix/file.h>

extern const struct posix_file_operations console_operations;
/* A node for stream 0, 1 or 2; NULL: no memory. */
struct posix_node *console_node(uint64_t stream);

/* ---- the watches of console files (console_watch.c) */
/* From now on the file's watches hear of input. False: no memory. */
bool console_watch(struct posix_file *file);
void console_forget(const struct posix_file *file);
/* Input that comes, or is left, from now on is news. */
void console_arm(void);

#endif
