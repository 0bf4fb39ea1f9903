/* SPDX-License-Identifier: Apache-2.0 */
/* What the families of generated calls share: the random source, the line that each call leaves,
 * and buffers. A result is the value, or the negative errno, as the kernel returned it. */
#ifndef DIFFERENTIAL_GENERATE_H
#define DIFFERENTIAL_GENERATE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WORKERS 3
#define PAGE 4096ul
#define BUFFER_BYTES 8192ul
#define NOT_A_POINTER ((void *)0xffff800000000000ul)

static uint64_t random_state;
static unsigned call_number;
static _Thread_local unsigned worker; /* 1..WORKERS */
static unsigned char *buffer;         /* BUFFER_BYTES, then a page without access */

/* xorshift64*: the same calls for the same seed, everywhere. */
static uint64_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717ull >> 16;
}

static uint64_t below(uint64_t limit)
{
    return random_bits() % limit;
}

static int one_in(uint64_t n)
{
    return below(n) == 0;
}

#define PICK(table) ((table)[below(sizeof(table) / sizeof((table)[0]))])

static long raw(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(list, long);
    }
    va_end(list);
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return result == -1 ? -errno : result;
}
/* Six longs follow the number, whatever the call takes. */
#define CALL(name, ...) raw(SYS_##name, CALL_LONGS(__VA_ARGS__ __VA_OPT__(, ) 0, 0, 0, 0, 0, 0))
#define CALL_LONGS(a, b, c, d, e, f, ...)                                                          \
    (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)

static uint32_t digest(const void *data, size_t bytes)
{
    const unsigned char *from = data;
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < bytes; i++) {
        value = (value ^ from[i]) * 16777619u;
    }
    return value;
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
    char text[1024];
    va_list list;
    int bytes = snprintf(text, sizeof(text), "%u t%u ", call_number, worker);
    va_start(list, format);
    bytes += vsnprintf(text + bytes, sizeof(text) - (size_t)bytes - 1, format, list);
    va_end(list);
    bytes = bytes > (int)sizeof(text) - 2 ? (int)sizeof(text) - 2 : bytes;
    text[bytes++] = '\n';
    if (write(STDOUT_FILENO, text, (size_t)bytes) != bytes) {
        _exit(2);
    }
}

/* A place for data: most often good, sometimes one that a call must refuse. *name tells which. */
static void *place(size_t bytes, const char **name)
{
    switch (below(24)) {
    case 0:
        *name = "null";
        return NULL;
    case 1:
        *name = "kernel";
        return NOT_A_POINTER;
    case 2:
        *name = "end";
        return buffer + BUFFER_BYTES;
    default:
        *name = "good";
        return bytes <= BUFFER_BYTES ? buffer : NOT_A_POINTER;
    }
}

static void fill(void)
{
    uint64_t value = random_bits();
    for (size_t i = 0; i < BUFFER_BYTES; i++) {
        buffer[i] = (unsigned char)(value >> (i & 31)) + (unsigned char)(i >> 5);
    }
}

#endif
