/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/string.h>
#include <stdint.h>

/* A word that may lie anywhere and alias anything. */
typedef uint64_t word_t __attribute__((may_alias, aligned(1)));

#define WORD_BYTES sizeof(uint64_t)
#define BLOCK_BYTES (8 * WORD_BYTES)

/* The ranges may overlap if to lies below from. */
static void copy_forwards(uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (; bytes >= BLOCK_BYTES; bytes -= BLOCK_BYTES, to += BLOCK_BYTES, from += BLOCK_BYTES) {
        word_t *t = (word_t *)to;
        const word_t *f = (const word_t *)from;
        uint64_t a = f[0], b = f[1], c = f[2], d = f[3];
        t[0] = a, t[1] = b, t[2] = c, t[3] = d;
        a = f[4], b = f[5], c = f[6], d = f[7];
        t[4] = a, t[5] = b, t[6] = c, t[7] = d;
    }
    for (; bytes >= WORD_BYTES; bytes -= WORD_BYTES, to += WORD_BYTES, from += WORD_BYTES) {
        *(word_t *)to = *(const word_t *)from;
    }
    for (; bytes > 0; bytes--) {
        *to++ = *from++;
        /* Keeps the compiler from finding a call to memcpy in here. */
        __asm__ volatile("" : : : "memory");
    }
}

/* @impl ATL-LLR-BOOT-0001~1 */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    copy_forwards(to, from, bytes);
    return to;
}

static void copy_backwards(uint8_t *to, const uint8_t *from, size_t bytes)
{
    while (bytes >= WORD_BYTES) {
        bytes -= WORD_BYTES;
        *(word_t *)(to + bytes) = *(const word_t *)(from + bytes);
        __asm__ volatile("" : : : "memory");
    }
    while (bytes > 0) {
        bytes--;
        to[bytes] = from[bytes];
        __asm__ volatile("" : : : "memory");
    }
}

/* @impl ATL-LLR-BOOT-0001~1 */
void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from < bytes) {
        copy_backwards(to, from, bytes);
    } else {
        copy_forwards(to, from, bytes);
    }
    return to;
}

/* @impl ATL-LLR-BOOT-0001~1 */
void *memset(void *to, int value, size_t bytes)
{
    uint8_t *t = to;
    uint64_t word = (uint8_t)value * 0x0101010101010101ull;
    for (; bytes >= BLOCK_BYTES; bytes -= BLOCK_BYTES, t += BLOCK_BYTES) {
        word_t *tw = (word_t *)t;
        tw[0] = word, tw[1] = word, tw[2] = word, tw[3] = word;
        tw[4] = word, tw[5] = word, tw[6] = word, tw[7] = word;
        __asm__ volatile("" : : : "memory");
    }
    for (; bytes >= WORD_BYTES; bytes -= WORD_BYTES, t += WORD_BYTES) {
        *(word_t *)t = word;
        __asm__ volatile("" : : : "memory");
    }
    for (; bytes > 0; bytes--) {
        *t++ = (uint8_t)value;
        __asm__ volatile("" : : : "memory");
    }
    return to;
}

/* @impl ATL-LLR-BOOT-0001~1 */
int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a, *y = b;
    for (; bytes > 0; bytes--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}
