/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP uses of <stdlib.h>. */
#ifndef POSIX_INET_LWIP_STDLIB_H
#define POSIX_INET_LWIP_STDLIB_H

#include <stddef.h>

int atoi(const char *text);

#endif
