/* SPDX-License-Identifier: Apache-2.0 */
/* What the other parts of posix/ know of event/. */
#ifndef POSIX_EVENT_H
#define POSIX_EVENT_H

#include <posix/file.h>

/* Takes a file out of every epoll instance, before it is released.
 *
 * @file       nobody has a reference on it any more
 * Context:    no lock is held */
void posix_epoll_forget(struct posix_file *file);

/* The pipe behind the node of a named pipe; NULL: no memory. Nothing is open when it is freed. */
void *posix_pipe_create_named(void);
void posix_pipe_free_named(void *pipe);
/* What its open files do; their context is the pipe. */
extern const struct posix_file_operations pipe_operations;

#endif
