/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's sources and each core's generator. */
#include <crypto/entropy.h>

#include "erase.h"
#include "generator.h"
#include "source.h"

#include <cpu/instructions.h>
#include <kernel/facts.h>

#define RESEED_BYTES (64u << 10)
#define JITTER_TABLE_BYTES 4096u
#define JITTER_STEPS 24u

enum { SOURCE_RDSEED, SOURCE_RDRAND, SOURCE_JITTER, SOURCE_COUNT };

static PERCORE struct source sources[SOURCE_COUNT];
static PERCORE struct generator generator;
static PERCORE bool is_seeded;
static PERCORE bool (*refresh_outside)(void);
static PERCORE uint8_t jitter_table[JITTER_TABLE_BYTES];
static PERCORE uint32_t jitter_at;

/* Core 0 writes all; each core takes and erases its own before seal. */
static SHARED uint8_t shared_seeds[CORE_COUNT_MAX][CHACHA20_KEY_BYTES];
static SHARED const char *shared_source_names;

/* One sample: how long a walk through memory takes whose way depends on what came before. */
static uint8_t jitter_sample(void)
{
    uint64_t begin = cpu_rdtsc();
    for (unsigned i = 0; i < JITTER_STEPS; i++) {
        volatile uint8_t *at = &jitter_table[jitter_at];
        *at = (uint8_t)(*at + i + 1);
        jitter_at = (jitter_at + 67 + *at) % JITTER_TABLE_BYTES;
    }
    return (uint8_t)(cpu_rdtsc() - begin);
}

static bool jitter_read(uint64_t *word)
{
    *word = 0;
    for (unsigned i = 0; i < sizeof(*word); i++) {
        *word = *word << 8 | jitter_sample();
    }
    return true;
}

static bool rdseed_read(uint64_t *word)
{
    bool is_valid = cpu_rdseed(word);
    if (!is_valid) {
        cpu_pause();
    }
    return is_valid;
}

static bool rdrand_read(uint64_t *word)
{
    return cpu_rdrand(word);
}

static void sources_begin(void)
{
    if (shared_facts.has_rdseed) {
        source_begin(&sources[SOURCE_RDSEED], rdseed_read, HEALTH_FOUR_BITS);
    }
    if (shared_facts.has_rdrand) {
        source_begin(&sources[SOURCE_RDRAND], rdrand_read, HEALTH_FOUR_BITS);
    }
    source_begin(&sources[SOURCE_JITTER], jitter_read, HEALTH_HALF_BIT);
}

/* All sources into the generator. Returns a bit for each that works. */
static unsigned reseed(unsigned words)
{
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    unsigned good = 0;
    sha256_begin(&hash);
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        if (sources[i].is_used && source_collect(&sources[i], &hash, words)) {
            good |= 1u << i;
        }
    }
    sha256_end(&hash, digest);
    generator_reseed(&generator, digest, sizeof(digest));
    crypto_erase(digest, sizeof(digest));
    return good;
}

static const char *names_of(unsigned good)
{
    static const char *const names[1u << SOURCE_COUNT] = {
        "none",   "rdseed",        "rdrand",        "rdseed rdrand",
        "jitter", "rdseed jitter", "rdrand jitter", "rdseed rdrand jitter",
    };
    return names[good];
}

/* @impl ATL-LLR-ENTROPY-0008~1
 * @impl ATL-LLR-ENTROPY-0009~1 */
enum result entropy_initialize(void)
{
    sources_begin();
    unsigned good = reseed(SOURCE_STARTUP_WORDS);
    shared_source_names = names_of(good);
    if (good == 0) {
        return RESULT_IO;
    }
    is_seeded = true;
    for (unsigned core = 1; core < shared_facts.core_count; core++) {
        entropy_fill(shared_seeds[core], sizeof(shared_seeds[core]));
    }
    return RESULT_OK;
}

void entropy_core_start(core_id_t self)
{
    ASSERT(self.value < CORE_COUNT_MAX && !is_seeded);
    generator_reseed(&generator, shared_seeds[self.value], sizeof(shared_seeds[self.value]));
    crypto_erase(shared_seeds[self.value], sizeof(shared_seeds[self.value]));
    sources_begin();
    (void)reseed(SOURCE_RESEED_WORDS); /* a bonus: the seed alone is enough */
    is_seeded = true;
}

/* @impl ATL-LLR-ENTROPY-0011~1 */
void entropy_mix(const void *samples, size_t bytes)
{
    uint64_t due = generator.bytes_since_reseed; /* this is no reseed */
    generator_reseed(&generator, samples, bytes);
    generator.bytes_since_reseed = due;
}

/* @impl ATL-LLR-ENTROPY-0011~1 */
void entropy_set_refresh(bool (*refresh)(void))
{
    refresh_outside = refresh;
}

/* @impl ATL-LLR-ENTROPY-0010~1
 * @impl ATL-LLR-ENTROPY-0011~1 */
void entropy_fill(void *to, size_t bytes)
{
    ASSERT(is_seeded);
    if (generator.bytes_since_reseed >= RESEED_BYTES) {
        if (refresh_outside != NULL) {
            (void)refresh_outside();
        }
        (void)reseed(SOURCE_RESEED_WORDS);
    }
    generator_fill(&generator, to, bytes);
}

/* @impl ATL-LLR-ENTROPY-0008~1 */
const char *entropy_sources(void)
{
    return shared_source_names;
}
