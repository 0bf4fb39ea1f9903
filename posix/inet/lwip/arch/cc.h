/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler and the library as lwIP is to see them. */
#ifndef POSIX_INET_LWIP_ARCH_CC_H
#define POSIX_INET_LWIP_ARCH_CC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define LWIP_NO_CTYPE_H 1
#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define BYTE_ORDER 1234
#define LWIP_TIMEVAL_PRIVATE 0
#define SSIZE_MAX LONG_MAX
typedef long ssize_t;

#define X8_F "x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"

/* In place of functions of lwIP's. */
#define lwip_htons(value) ((uint16_t)__builtin_bswap16((uint16_t)(value)))
#define lwip_htonl(value) ((uint32_t)__builtin_bswap32((uint32_t)(value)))
uint16_t net_checksum(const void *data, int bytes);

uint32_t net_random(void);
#define LWIP_RAND() net_random()

_Noreturn void net_assertion(const char *text);
#define LWIP_PLATFORM_ASSERT(text) net_assertion(text)
#define LWIP_PLATFORM_DIAG(text) ((void)0)

void *net_memory_allocate(size_t bytes);
/* Not cleared: for what is written before it is read. */
void *net_memory_allocate_buffer(size_t bytes);
void *net_memory_allocate_zeroed(size_t count, size_t bytes);
void net_memory_free(void *memory);

#endif
