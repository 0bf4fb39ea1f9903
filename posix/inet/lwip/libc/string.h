/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of <string.h> that lwIP uses: core/string.c and inet/support.c have them. */
#ifndef POSIX_INET_LWIP_STRING_H
#define POSIX_INET_LWIP_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *one, const void *other, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *one, const char *other);
int strncmp(const char *one, const char *other, size_t bytes_max);

#endif
