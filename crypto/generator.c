/* SPDX-License-Identifier: Apache-2.0 */
#include "generator.h"

#include "erase.h"
#include "sha256.h"

static void key_set(struct generator *generator, const uint8_t bytes[static CHACHA20_KEY_BYTES])
{
    for (unsigned i = 0; i < 8; i++) {
        generator->key[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 |
                            (uint32_t)bytes[4 * i + 2] << 16 | (uint32_t)bytes[4 * i + 3] << 24;
    }
}

/* @impl ATL-LLR-ENTROPY-0004~1 */
void generator_reseed(struct generator *generator, const void *samples, size_t bytes)
{
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    sha256_begin(&hash);
    sha256_update(&hash, generator->key, sizeof(generator->key));
    sha256_update(&hash, samples, bytes);
    sha256_end(&hash, digest);
    key_set(generator, digest);
    crypto_erase(digest, sizeof(digest));
    generator->bytes_since_reseed = 0;
}

/* @impl ATL-LLR-ENTROPY-0003~1 */
void generator_fill(struct generator *generator, void *to, size_t bytes)
{
    struct chacha20_input input = {.counter = 0};
    uint8_t block[CHACHA20_BLOCK_BYTES];
    uint8_t *out = to;
    size_t at = CHACHA20_KEY_BYTES; /* of the first block, the rest is output */
    for (unsigned i = 0; i < 8; i++) {
        input.key[i] = generator->key[i];
    }
    chacha20_block(&input, block);
    key_set(generator, block);
    for (size_t i = 0; i < bytes; i++) {
        if (at == CHACHA20_BLOCK_BYTES) {
            input.counter++;
            chacha20_block(&input, block);
            at = 0;
        }
        out[i] = block[at++];
    }
    generator->bytes_since_reseed += bytes;
    crypto_erase(&input, sizeof(input));
    crypto_erase(block, sizeof(block));
}
