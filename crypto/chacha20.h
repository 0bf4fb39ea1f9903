/* SPDX-License-Identifier: Apache-2.0 */
/* The ChaCha20 block function. Source: RFC 8439, "The ChaCha20 Block Function". */
#ifndef CRYPTO_CHACHA20_H
#define CRYPTO_CHACHA20_H

#include <stdint.h>

#define CHACHA20_KEY_BYTES 32u
#define CHACHA20_BLOCK_BYTES 64u

struct chacha20_input {
    uint32_t key[8];
    uint32_t counter;
    uint32_t nonce[3];
};

void chacha20_block(const struct chacha20_input *input, uint8_t out[static CHACHA20_BLOCK_BYTES]);

#endif
