/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256.h"

#include "erase.h"

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return (value >> bits) | (value << (32 - bits));
}

static void schedule(const uint8_t *block, uint32_t words[static 64])
{
    for (unsigned i = 0; i < 16; i++) {
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = words[i - 15], b = words[i - 2];
        words[i] = words[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) + words[i - 7] +
                   (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
    }
}

/* Of the eight working variables of a round only a and e are new; the others are those of earlier
 * rounds: b, c, d are a one, two, three rounds ago, and f, g, h are e. Nothing moves. */
#define AGO_MAX 4u

static void compress(uint32_t state[static 8], const uint8_t *block)
{
    uint32_t words[64], a[AGO_MAX + 64], e[AGO_MAX + 64];
    schedule(block, words);
    for (unsigned i = 0; i < AGO_MAX; i++) {
        a[AGO_MAX - 1 - i] = state[i];
        e[AGO_MAX - 1 - i] = state[4 + i];
    }
    for (unsigned i = 0; i < 64; i++) {
        const uint32_t *old_a = a + i, *old_e = e + i; /* [3] is the newest, [0] d and h */
        uint32_t new_a = old_a[3], new_e = old_e[3];
        uint32_t sum1 = rotate(new_e, 6) ^ rotate(new_e, 11) ^ rotate(new_e, 25);
        uint32_t choice = old_e[1] ^ (new_e & (old_e[2] ^ old_e[1]));
        uint32_t t1 = old_e[0] + sum1 + choice + constants[i] + words[i];
        uint32_t sum0 = rotate(new_a, 2) ^ rotate(new_a, 13) ^ rotate(new_a, 22);
        uint32_t majority = (new_a & old_a[2]) | (old_a[1] & (new_a | old_a[2]));
        e[AGO_MAX + i] = old_a[0] + t1;
        a[AGO_MAX + i] = t1 + sum0 + majority;
    }
    for (unsigned i = 0; i < AGO_MAX; i++) {
        state[i] += a[AGO_MAX + 63 - i];
        state[4 + i] += e[AGO_MAX + 63 - i];
    }
    crypto_erase(words, sizeof(words));
    crypto_erase(a, sizeof(a));
    crypto_erase(e, sizeof(e));
}

/* @impl ATL-LLR-ENTROPY-0001~1 */
void sha256_begin(struct sha256 *hash)
{
    static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (unsigned i = 0; i < 8; i++) {
        hash->state[i] = initial[i];
    }
    hash->bytes = 0;
}

/* @impl ATL-LLR-ENTROPY-0001~1 */
void sha256_update(struct sha256 *hash, const void *data, size_t bytes)
{
    const uint8_t *from = data;
    for (size_t i = 0; i < bytes; i++) {
        hash->block[hash->bytes++ % SHA256_BLOCK_BYTES] = from[i];
        if (hash->bytes % SHA256_BLOCK_BYTES == 0) {
            compress(hash->state, hash->block);
        }
    }
}

/* @impl ATL-LLR-ENTROPY-0001~1 */
void sha256_end(struct sha256 *hash, uint8_t digest[static SHA256_BYTES])
{
    uint64_t bits = hash->bytes * 8;
    uint8_t padding = 0x80;
    do {
        sha256_update(hash, &padding, 1);
        padding = 0;
    } while (hash->bytes % SHA256_BLOCK_BYTES != SHA256_BLOCK_BYTES - 8);
    for (unsigned i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(bits >> (56 - 8 * i));
        sha256_update(hash, &byte, 1);
    }
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        digest[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
    }
    crypto_erase(hash, sizeof(*hash));
}
