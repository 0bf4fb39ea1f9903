/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POSIX_CORE_DEBUG_H
#define POSIX_CORE_DEBUG_H

#include <debug/table.h>
#include <posix/posix.h>

extern struct debug_table posix_debug_table;

/* The program has been loaded: tells a debugger where it starts. Once, before it does. */
void posix_debug_started(const struct posix_program *program);

#endif
