/* SPDX-License-Identifier: Apache-2.0 */
/* The memory functions that the compiler may call, and two of strings. For posix/'s own memory
 * only. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *left, const void *right, size_t bytes);
size_t strlen(const char *string);
int strcmp(const char *left, const char *right);

/* Eight bytes count as one instruction under emulation and are fast strings on processors. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    void *result = to;
    size_t words = bytes / sizeof(uint64_t);
    size_t rest = bytes % sizeof(uint64_t);
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if ((uintptr_t)target - (uintptr_t)source >= bytes) {
        return memcpy(to, from, bytes);
    }
    for (size_t i = bytes; i > 0; i--) {
        target[i - 1] = source[i - 1];
        __asm__ volatile("" : : : "memory"); /* keeps the compiler from calling memmove here */
    }
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *result = to;
    uint64_t pattern = 0x0101010101010101ull * (uint8_t)value;
    size_t words = bytes / sizeof(uint64_t);
    size_t rest = bytes % sizeof(uint64_t);
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return result;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
    const uint8_t *a = left;
    const uint8_t *b = right;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *string)
{
    size_t length = 0;
    while (string[length] != '\0') {
        length++;
    }
    return length;
}

int strcmp(const char *left, const char *right)
{
    while (*left != '\0' && *left == *right) {
        left++;
        right++;
    }
    return (uint8_t)*left - (uint8_t)*right;
}
