/* SPDX-License-Identifier: Apache-2.0 */
#include "chacha20.h"

#include "erase.h"

#define DOUBLE_ROUNDS 10u

static uint32_t rotate_left(uint32_t value, unsigned bits)
{
    return (value << bits) | (value >> (32 - bits));
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate_left(*d ^ *a, 16);
    *c += *d;
    *b = rotate_left(*b ^ *c, 12);
    *a += *b;
    *d = rotate_left(*d ^ *a, 8);
    *c += *d;
    *b = rotate_left(*b ^ *c, 7);
}

static void double_round(uint32_t s[static 16])
{
    for (unsigned i = 0; i < 4; i++) {
        quarter(&s[i], &s[4 + i], &s[8 + i], &s[12 + i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        quarter(&s[i], &s[4 + (i + 1) % 4], &s[8 + (i + 2) % 4], &s[12 + (i + 3) % 4]);
    }
}

/* @impl ATL-LLR-ENTROPY-0002~1 */
void chacha20_block(const struct chacha20_input *input, uint8_t out[static CHACHA20_BLOCK_BYTES])
{
    uint32_t initial[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t state[16];
    for (unsigned i = 0; i < 8; i++) {
        initial[4 + i] = input->key[i];
    }
    initial[12] = input->counter;
    for (unsigned i = 0; i < 3; i++) {
        initial[13 + i] = input->nonce[i];
    }
    for (unsigned i = 0; i < 16; i++) {
        state[i] = initial[i];
    }
    for (unsigned i = 0; i < DOUBLE_ROUNDS; i++) {
        double_round(state);
    }
    for (unsigned i = 0; i < 16; i++) {
        uint32_t word = state[i] + initial[i];
        for (unsigned byte = 0; byte < 4; byte++) {
            out[4 * i + byte] = (uint8_t)(word >> (8 * byte));
        }
    }
    crypto_erase(initial, sizeof(initial));
    crypto_erase(state, sizeof(state));
}
