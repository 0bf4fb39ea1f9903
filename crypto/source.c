/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include "erase.h"

/* @impl ATL-LLR-ENTROPY-0007~1 */
void source_begin(struct source *source, bool (*read)(uint64_t *word), struct health_limits limits)
{
    *source = (struct source){.read = read, .is_used = true};
    health_begin(&source->health, limits);
}

static bool read_word(const struct source *source, uint64_t *word)
{
    for (unsigned i = 0; i < SOURCE_RETRIES_MAX; i++) {
        if (source->read(word)) {
            return true;
        }
    }
    return false;
}

/* Two equal words in a row, or all bits alike: a generator that is stuck. One word in 2^62 is
 * refused by mistake. @impl ATL-LLR-ENTROPY-0007~1 */
static bool is_stuck(struct source *source, uint64_t word)
{
    bool is_same = source->has_last && word == source->last;
    source->last = word;
    source->has_last = true;
    return is_same || word == 0 || word == UINT64_MAX;
}

/* @impl ATL-LLR-ENTROPY-0007~1 */
bool source_collect(struct source *source, struct sha256 *hash, unsigned words)
{
    for (unsigned i = 0; i < words && source->is_used; i++) {
        uint64_t word = 0;
        if (!read_word(source, &word) || is_stuck(source, word)) {
            source->is_used = false;
            break;
        }
        for (unsigned byte = 0; byte < sizeof(word); byte++) {
            source->is_used =
                health_sample(&source->health, (uint8_t)(word >> (8 * byte))) && source->is_used;
        }
        sha256_update(hash, &word, sizeof(word));
        crypto_erase(&word, sizeof(word));
    }
    return source->is_used;
}
