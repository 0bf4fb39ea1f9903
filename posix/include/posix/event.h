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

#endif
