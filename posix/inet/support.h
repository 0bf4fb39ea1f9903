/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of the machine: memory, randomness, text. */
#ifndef POSIX_INET_SUPPORT_H
#define POSIX_INET_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

/* Gives this core's lwIP its initial values and its own secrets, before anything else of it. */
void net_support_start(void);

/* How many blocks of net_memory_allocate (lwip/arch/cc.h), which all that lives and dies with
 * traffic comes from, this core took less those that it freed; the sum over the cores is in use. */
int64_t net_memory_count(void);

#endif
