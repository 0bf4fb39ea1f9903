/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, the conditioning component for entropy samples. Source: FIPS 180-4. Not for secrets
 * whose length must stay hidden. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32u
#define SHA256_BLOCK_BYTES 64u

struct sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[SHA256_BLOCK_BYTES];
};

void sha256_begin(struct sha256 *hash);
void sha256_update(struct sha256 *hash, const void *data, size_t bytes);
/* Writes the digest and erases the state. */
void sha256_end(struct sha256 *hash, uint8_t digest[static SHA256_BYTES]);

#endif
