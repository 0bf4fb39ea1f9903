/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_ERASE_H
#define CRYPTO_ERASE_H

#include <stddef.h>
#include <stdint.h>

/* Overwrites a secret; the barrier keeps the compiler from seeing that nobody reads it again. */
static inline void crypto_erase(void *secret, size_t bytes)
{
    uint8_t *at = secret;
    for (size_t i = 0; i < bytes; i++) {
        at[i] = 0;
    }
    __asm__ volatile("" : : "r"(secret) : "memory");
}

#endif
