/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_ERASE_H
#define CRYPTO_ERASE_H

#include <stddef.h>

/* Overwrites a secret; the barrier keeps the compiler from seeing that nobody reads it again. */
static inline void crypto_erase(void *secret, size_t bytes)
{
    __builtin_memset(secret, 0, bytes);
    __asm__ volatile("" : : "r"(secret) : "memory");
}

#endif
