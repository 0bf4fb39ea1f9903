/* SPDX-License-Identifier: Apache-2.0 */
/* A noise source under test: reads words, feeds every byte to the health tests, and stays failed
 * once it fails. The readers are in entropy.c, or in a test. */
#ifndef CRYPTO_SOURCE_H
#define CRYPTO_SOURCE_H

#include "health.h"
#include "sha256.h"

#define SOURCE_RETRIES_MAX 16u    /* reads until a hardware generator gives a word */
#define SOURCE_STARTUP_WORDS 256u /* 2,048 samples; SP 800-90B asks for 1,024 at least */
#define SOURCE_RESEED_WORDS 64u   /* at half a bit for a byte: 256 bits */

struct source {
    bool (*read)(uint64_t *word); /* eight samples; false: none now */
    struct health health;
    uint64_t last;
    bool is_used, has_last;
};

void source_begin(struct source *source, bool (*read)(uint64_t *word), struct health_limits limits);
/* Adds words to the hash as they are. False: the source has failed; what it gave is in the hash,
 * but must not be counted. */
bool source_collect(struct source *source, struct sha256 *hash, unsigned words);

#endif
