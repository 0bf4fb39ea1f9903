/* SPDX-License-Identifier: Apache-2.0 */
/* A deterministic random generator: ChaCha20 with fast key erasure. The first half of the first
 * block of every request replaces the key, so a later state tells nothing of what was given out
 * before. */
#ifndef CRYPTO_GENERATOR_H
#define CRYPTO_GENERATOR_H

#include <stddef.h>
#include <stdint.h>

#include "chacha20.h"

struct generator {
    uint32_t key[8];
    uint64_t bytes_since_reseed;
};

/* The key becomes SHA-256 of itself and the samples: it never loses what it had. */
void generator_reseed(struct generator *generator, const void *samples, size_t bytes);
void generator_fill(struct generator *generator, void *to, size_t bytes);

#endif
