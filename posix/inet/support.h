/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of the machine: memory, randomness, text. */
#ifndef POSIX_INET_SUPPORT_H
#define POSIX_INET_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/* Gives this core's lwIP its initial values and its own secrets, before anything else of it. */
void net_support_start(void);

#endif
