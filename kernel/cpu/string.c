/* SPDX-License-Identifier: Apache-2.0 */
#include <cpu/string.h>
#include <stdint.h>

/* A word that may lie anywhere and alias anything. */
typedef uint64_t word_t __attribute__((may_alias, aligned(1)));

#define WORD_BYTES sizeof(uint64_t)
#define BLOCK_BYTES (8 * WORD_BYTES)

/* @impl ATL-LLR-BOOT-0001~2 */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; bytes >= BLOCK_BYTES; bytes -= BLOCK_BYTES, t += BLOCK_BYTES, f += BLOCK_BYTES) {
        word_t *tw = (word_t *)t;
        const word_t *fw = (const word_t *)f;
        uint64_t a = fw[0], b = fw[1], c = fw[2], d = fw[3];
        tw[0] = a, tw[1] = b, tw[2] = c, tw[3] = d;
        a = fw[4], b = fw[5], c = fw[6], d = fw[7];
        tw[4] = a, tw[5] = b, tw[6] = c, tw[7] = d;
    }
    for (; bytes >= WORD_BYTES; bytes -= WORD_BYTES, t += WORD_BYTES, f += WORD_BYTES) {
        *(word_t *)t = *(const word_t *)f;
    }
    for (; bytes > 0; bytes--) {
        *t++ = *f++;
        /* Keeps the compiler from finding a call to memcpy in here. */
        __asm__ volatile("" : : : "memory");
    }
    return to;
}

/* @impl ATL-LLR-BOOT-0001~2 */
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

/* @impl ATL-LLR-BOOT-0001~2 */
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
